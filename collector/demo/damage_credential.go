package demo

var credentialDamages = []Damage{}
