package node

import (
	"fmt"
	"strings"
)

// BootedHash is a root hash that the kernel command line asks for.
type BootedHash struct {
	Word string   `json:"word"` // the key it stands in: "verity.usrhash", "roothash", "dm-mod.create", "dm"
	Name string   `json:"name"` // of the device-mapper device that it is meant for: "usr", "root", "vroot"
	Hash string   `json:"hash"` // lower-case hexadecimal
	Args []string `json:"args"` // optional arguments, where the word carries a table
}

// hashWords are the command line words that are a root hash, with the name of
// the device. Sources: systemd-veritysetup-generator(8) and, for those that
// begin with "verity.", Flatcar's bootengine (dracut/10usr-generator).
var hashWords = map[string]string{
	"roothash":        "root",
	"usrhash":         "usr",
	"verity.roothash": "root",
	"verity.usrhash":  "usr",
}

// bootedHashes finds the root hashes that a command line asks for, in order; a
// word that stands twice gives two. It returns those that it could read, and
// an error for each of those that it could not.
func bootedHashes(words []Word) ([]BootedHash, []error) {
	hashes := []BootedHash{}
	var errs []error
	for _, w := range words {
		if !w.Valued {
			continue
		}
		var found []BootedHash
		var err error
		switch name, isHash := hashWords[w.Key]; {
		case isHash:
			hash := strings.ToLower(w.Value)
			if !isHex(hash) {
				err = fmt.Errorf("%s=%.200q is not hexadecimal", w.Key, w.Value)
				break
			}
			found = []BootedHash{{Word: w.Key, Name: name, Hash: hash, Args: []string{}}}
		case w.AfterDashes: // for process 1, which makes no device-mapper tables of it
		case w.Is("dm-mod.create"):
			found, err = parseConciseTables(w.Value)
		case w.Key == "dm":
			found, err = parseChromiumTables(w.Value)
		}
		if err != nil {
			errs = append(errs, err)
		}
		hashes = append(hashes, found...)
	}
	return hashes, errs
}

// parseConciseTables parses the value of dm-mod.create: devices parted by
// semicolons, each NAME,UUID,MINOR,FLAGS,TABLE[,TABLE…]. Source: the kernel's
// Documentation/admin-guide/device-mapper/dm-init.rst.
func parseConciseTables(value string) ([]BootedHash, error) {
	var out []BootedHash
	for device := range strings.SplitSeq(value, ";") {
		f := strings.Split(device, ",")
		if len(f) < 5 {
			return nil, fmt.Errorf("dm-mod.create device %.300q: %d fields, want at least 5", device, len(f))
		}
		for _, table := range f[4:] {
			params, verity, err := verityLine(table)
			if err != nil {
				return nil, fmt.Errorf("dm-mod.create: %w", err)
			}
			if !verity {
				continue
			}
			v, err := ParseVerity(params)
			if err != nil {
				return nil, fmt.Errorf("dm-mod.create: %w", err)
			}
			out = append(out, BootedHash{"dm-mod.create", strings.TrimSpace(f[0]), v.RootHash, v.Args})
		}
	}
	return out, nil
}

// verityLine cuts a table line, START LENGTH TYPE PARAMETERS, and says whether
// its type is verity.
func verityLine(line string) (params string, verity bool, err error) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return "", false, fmt.Errorf("table line %.300q: %d fields, want at least 3", line, len(f))
	}
	for _, sector := range f[:2] {
		if strings.Trim(sector, "0123456789") != "" {
			return "", false, fmt.Errorf("table line %.300q: %q is no number of sectors", line, sector)
		}
	}
	return strings.Join(f[3:], " "), f[2] == "verity", nil
}

// parseChromiumTables parses the value of the dm= word of Chromium OS kernels,
// which Container-Optimized OS used up to milestone 101: how many devices, then
// for each NAME UUID MODE LINES and that many table lines, all parted by
// commas. The parameters of a verity line are key=value pairs. Source: the
// command lines in use; the patch is not in the upstream kernel.
func parseChromiumTables(value string) ([]BootedHash, error) {
	var out []BootedHash
	parts := strings.Split(value, ",")
	for i := 0; i < len(parts); {
		header := strings.Fields(parts[i])
		if i == 0 && len(header) > 0 && strings.Trim(header[0], "0123456789") == "" {
			header = header[1:]
		}
		if len(header) != 3 && len(header) != 4 {
			return nil, fmt.Errorf("dm device %.300q is not NAME UUID MODE LINES", parts[i])
		}
		lines := 1
		if len(header) == 4 {
			var err error
			if lines, err = number(header[3]); err != nil {
				return nil, fmt.Errorf("dm device %.300q: lines: %w", parts[i], err)
			}
		}
		i++
		if lines < 1 || lines > len(parts)-i {
			return nil, fmt.Errorf("dm device %.300q announces %d lines and %d follow", parts[i-1], lines, len(parts)-i)
		}
		for _, line := range parts[i : i+lines] {
			params, verity, err := verityLine(line)
			if err != nil {
				return nil, fmt.Errorf("dm: %w", err)
			}
			if !verity {
				continue
			}
			hash := BootedHash{Word: "dm", Name: header[0], Args: []string{}}
			for pair := range strings.FieldsSeq(params) {
				switch key, value, _ := strings.Cut(pair, "="); key {
				case "root_hexdigest":
					hash.Hash = strings.ToLower(value)
				case "payload", "hashtree", "hashstart", "alg", "salt":
				default:
					hash.Args = append(hash.Args, pair)
				}
			}
			if !isHex(hash.Hash) {
				return nil, fmt.Errorf("dm: table line %.300q has no root_hexdigest in hexadecimal", line)
			}
			out = append(out, hash)
		}
		i += lines
	}
	return out, nil
}
