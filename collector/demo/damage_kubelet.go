package demo

var kubeletDamages = []Damage{}
