package demo

var reservationDamages = []Damage{}
