package demo

var accessDamages = []Damage{}
