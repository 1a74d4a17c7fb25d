package verify

var reservationChecks []Check
