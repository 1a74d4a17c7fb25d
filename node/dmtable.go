package node

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// verityValued are the optional arguments of a verity target that are followed
// by a value. Source: the kernel's
// Documentation/admin-guide/device-mapper/verity.rst.
var verityValued = []string{
	"use_fec_from_device", "fec_roots", "fec_blocks", "fec_start", "root_hash_sig_key_desc",
}

// ParseVerity parses the parameters of a verity target, without its status. Source: the
// kernel's Documentation/admin-guide/device-mapper/verity.rst. An optional
// argument that it does not know is kept, as one word.
func ParseVerity(params string) (*VerityTarget, error) {
	f := strings.Fields(params)
	if len(f) < 10 {
		return nil, fmt.Errorf("verity table %.300q: %d fields, want at least 10", params, len(f))
	}
	v := &VerityTarget{Data: f[1], Hash: f[2], Algorithm: f[7], RootHash: strings.ToLower(f[8]), Salt: strings.ToLower(f[9]), Args: []string{}}
	if f[0] != "0" && f[0] != "1" {
		return nil, fmt.Errorf("verity table %.300q: version %q is neither 0 nor 1", params, f[0])
	}
	v.Version = int(f[0][0] - '0')
	var err error
	for i, size := range []*int{&v.DataBlockSize, &v.HashBlockSize} {
		if *size, err = number(f[3+i]); err != nil || *size < 512 || *size&(*size-1) != 0 {
			return nil, fmt.Errorf("verity table %.300q: block size %q is no power of two from 512", params, f[3+i])
		}
	}
	for i, blocks := range []*int64{&v.DataBlocks, &v.HashStart} {
		if *blocks, err = strconv.ParseInt(f[5+i], 10, 64); err != nil || strconv.FormatInt(*blocks, 10) != f[5+i] || *blocks < 0 {
			return nil, fmt.Errorf("verity table %.300q: %q is no number of blocks", params, f[5+i])
		}
	}
	if !isHex(v.RootHash) {
		return nil, fmt.Errorf("verity table %.300q: root hash %q is not hexadecimal", params, f[8])
	}
	if v.Salt != "-" && !isHex(v.Salt) {
		return nil, fmt.Errorf("verity table %.300q: salt %q is not hexadecimal", params, f[9])
	}
	if len(f) == 10 {
		return v, nil
	}
	n, err := number(f[10])
	if args := f[11:]; err != nil || n != len(args) {
		return nil, fmt.Errorf("verity table %.300q: it announces %q optional arguments and has %d", params, f[10], len(args))
	}
	for args := f[11:]; len(args) > 0; {
		words := 1
		if slices.Contains(verityValued, args[0]) {
			words = 2
		}
		if len(args) < words {
			return nil, fmt.Errorf("verity table %.300q: %s has no value", params, args[0])
		}
		v.Args = append(v.Args, strings.Join(args[:words], " "))
		args = args[words:]
	}
	return v, nil
}

// parseVerityStatus parses the status of a verity target: "V" or "C", and in
// newer kernels the number of blocks that error correction put right, or "-".
// Source: verity_status in the kernel's drivers/md/dm-verity-target.c.
func parseVerityStatus(status string) (string, error) {
	letter, corrected, more := strings.Cut(status, " ")
	if letter != "V" && letter != "C" {
		return "", fmt.Errorf("verity status %.100q begins with neither V nor C", status)
	}
	if more && corrected != "-" {
		if _, err := strconv.ParseUint(corrected, 10, 64); err != nil {
			return "", fmt.Errorf("verity status %.100q: %q is no number of corrected blocks", status, corrected)
		}
	}
	return letter, nil
}

var deviceNumber = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

// withDeviceNames replaces words that are device numbers by names.
func withDeviceNames(params string, name func(string) string) string {
	words := strings.Split(params, " ")
	for i, w := range words {
		if deviceNumber.MatchString(w) {
			words[i] = name(w)
		}
	}
	return strings.Join(words, " ")
}

func isHex(s string) bool {
	return s != "" && len(s)%2 == 0 && strings.Trim(s, "0123456789abcdef") == ""
}
