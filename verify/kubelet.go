package verify

var kubeletChecks []Check
