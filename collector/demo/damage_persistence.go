package demo

var persistenceDamages = []Damage{}
