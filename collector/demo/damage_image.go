package demo

var imageDamages = []Damage{}
