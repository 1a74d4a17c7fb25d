package demo

var processDamages = []Damage{}
