package demo

var auditDamages = []Damage{}
