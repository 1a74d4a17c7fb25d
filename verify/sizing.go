package verify

// sizingChecks are about the size of the reservation.
var sizingChecks = []Check{}
