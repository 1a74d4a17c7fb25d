package demo

var bootDamages = []Damage{}
