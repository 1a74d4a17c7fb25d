package demo

var runtimeDamages = []Damage{}
