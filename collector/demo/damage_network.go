package demo

var networkDamages = []Damage{}
