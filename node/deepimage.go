package node

import (
	"context"
	"path"
	"slices"
	"strings"
)

// The questions for an image that is read again from its disk. Package deep
// answers them where a program was told to (--deep); elsewhere the answer to
// AskDeep is that nobody asked, and the others are not put.
const (
	AskDeep       = "deep"        // DeepAsked
	AskDeepVerity = "deep-verity" // DeepDevice: every block of the dm-verity device of this name
	AskDeepFiles  = "deep-files"  // DeepFiles: every file with fs-verity at or below this path
)

// DeepAsked is the answer to AskDeep.
type DeepAsked struct {
	Asked string `json:"asked"` // "yes" or "no"
}

// DeepState is what an image came to that was read again, whole, from below what
// checks it on read.
type DeepState struct {
	// Asked is "yes" where somebody asked for it (--deep), "no" where nobody did: it
	// reads as much as the image is large.
	Asked string `json:"asked"`
	// Devices are the dm-verity devices of the host, by name; those that only pods
	// and containers have mounted are left out.
	Devices []DeepDevice `json:"devices"`
	// Files are the image of the booted composefs deployment and the folders of
	// objects that its overlay reads; none where there is no composefs.
	Files []DeepFiles `json:"files"`
}

// DeepDevice is a dm-verity device whose data and whose hash tree were read from
// the devices below it, and hashed by this program.
type DeepDevice struct {
	Name          string `json:"name"` // as DMDevice has it
	Algorithm     string `json:"algorithm"`
	DataBlockSize int    `json:"dataBlockSize"` // bytes
	HashBlockSize int    `json:"hashBlockSize"` // bytes
	DataBlocks    int64  `json:"dataBlocks"`    // as many as its table says
	// Read is how many data blocks, from the first, have the hash that the tree
	// wants, and HashRead how many blocks of the tree the one that is wanted of them.
	Read     int64  `json:"read"`
	HashRead int64  `json:"hashRead"`
	RootHash string `json:"rootHash"` // of the table
	Computed string `json:"computed"` // what the top of the tree, as it was read, comes to
	// Bad is the first block that has another hash than is wanted of it. The reading
	// ends there.
	Bad *BadBlock `json:"bad,omitempty"`
	// Unreadable is where an error of the disk ended the reading.
	Unreadable *UnreadablePlace `json:"unreadable,omitempty"`
}

// Whole reports whether every block was read and has the hash that is wanted.
func (d DeepDevice) Whole() bool {
	return d.Bad == nil && d.Unreadable == nil && d.DataBlocks > 0 && d.Read == d.DataBlocks && d.Computed == d.RootHash && d.RootHash != ""
}

// BadBlock is a block that has another hash than is wanted of it.
type BadBlock struct {
	Of       string `json:"of"`    // BadData or BadHash
	Level    int    `json:"level"` // of a block of the tree: 0 is the one next to the data
	Block    int64  `json:"block"` // from the start of the device, in its block size: as the kernel's log counts
	Device   string `json:"device"`
	Offset   int64  `json:"offset"` // bytes from the start of the device
	Wanted   string `json:"wanted"`
	Computed string `json:"computed"`
}

// The kinds of a BadBlock.
const (
	BadData = "data"
	BadHash = "hash"
)

// UnreadablePlace is where the reading of a device or a file ended.
type UnreadablePlace struct {
	Device string `json:"device"` // or the path of a file
	Offset int64  `json:"offset"` // bytes
	Reason string `json:"reason"`
}

// DeepFiles are files with fs-verity that were read again: one file, or those
// below a folder.
type DeepFiles struct {
	Path    string `json:"path"`
	Read    int    `json:"read"`    // files that have the digest that the kernel has of them
	Without int    `json:"without"` // files without fs-verity, which were not read
	// Digest is the fs-verity digest of a single file: "sha256:" and hexadecimal.
	Digest string `json:"digest,omitempty"`
	// Names is what a single file names that is the erofs image of a composefs.
	Names *DeepNames `json:"names,omitempty"`
	// Bad is the first file that has another digest. The reading ends there.
	Bad *BadFile `json:"bad,omitempty"`
	// Unreadable is the first file that could not be read whole. The kernel answers
	// with an input/output error to what does not match the file's own tree, and to
	// a broken disk.
	Unreadable *UnreadablePlace `json:"unreadable,omitempty"`
}

// DeepNames are the objects that the image of a composefs names, and their fs-verity
// digests: with verity=require the kernel refuses to open a file whose object has
// another.
type DeepNames struct {
	Objects int `json:"objects"` // different paths of objects
	Digests int `json:"digests"` // different digests
	Found   int `json:"found"`   // objects that were read again and have one of the digests
	// MissingObject is the first path where there is no such object: "/aa/….file",
	// below the folder of objects.
	MissingObject string `json:"missingObject,omitempty"`
	// MissingDigest is the first digest that none of the objects has: "sha256:" and
	// hexadecimal.
	MissingDigest string `json:"missingDigest,omitempty"`
	// Unknown is why not all that the image names is known, or not all objects are.
	// Nothing is then known to be missing.
	Unknown string `json:"unknown,omitempty"`
}

// BadFile is a file that has another fs-verity digest than the kernel has of it.
type BadFile struct {
	Path     string `json:"path"`
	Wanted   string `json:"wanted"` // FS_IOC_MEASURE_VERITY
	Computed string `json:"computed"`
}

// DeepImage is the verified image, read again. Who asks for it differs from node
// to node, and so does what a store of objects keeps of older deployments, so that
// it is no fact of a cohort.
var DeepImage = Source[DeepState]{
	Name:  "deep-image",
	Doc:   "every block of the verified image, read again from its disk and hashed, where --deep asks for it",
	Scope: Node,
	Every: OnDemand,
	Read:  readDeepImage,
}

func readDeepImage(_ context.Context, h *Host) (DeepState, []Gap, error) {
	v := DeepState{Devices: []DeepDevice{}, Files: []DeepFiles{}}
	asked, err := ask[DeepAsked](h, AskDeep, "")
	if err != nil && codeOf(err) == NotRecorded {
		asked, err = DeepAsked{"no"}, nil // whoever took the capture did not ask, or could not yet
	}
	if v.Asked = asked.Asked; err != nil || v.Asked != "yes" {
		return v, nil, err
	}
	mounts, err := h.gathering.mounts()
	if err != nil {
		return v, nil, err
	}
	gaps, err := v.addDevices(h, mounts)
	if err != nil {
		return v, nil, err
	}
	for _, name := range composefsFiles(h, mounts) {
		files, err := ask[DeepFiles](h, AskDeepFiles, relative(name))
		if IsAbsent(err) {
			continue // no composefs, or one whose image was unmounted from its place
		}
		if err != nil {
			gaps = append(gaps, GapOf("the files of "+name, err).In("files"))
			continue
		}
		files.Path = name
		v.Files = append(v.Files, files)
	}
	return v, gaps, nil
}

// addDevices has every device read that has one verity target.
func (v *DeepState) addDevices(h *Host, mounts *mountTable) ([]Gap, error) {
	blocks, err := h.ReadDir("sys/block", 1<<16)
	if err != nil {
		return nil, err
	}
	var gaps []Gap
	gap := func(what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err).In("devices"))
		}
	}
	blocks = slices.DeleteFunc(blocks, func(b DirEntry) bool { return !strings.HasPrefix(b.Name, "dm-") })
	if len(blocks) == 0 {
		return nil, nil
	}
	tables, err := ask[[]DMTable](h, AskDM, "")
	if err != nil {
		return nil, err
	}
	name := func(dev string) string { return deviceName(h, dev, "unknown") }
	for _, b := range blocks {
		d, _, err := readDMDevice(h, b.Name, mounts)
		if IsAbsent(err) || err == nil && d == nil {
			continue // it went away meanwhile, or is a pod's
		}
		if err != nil {
			gap("a device-mapper device", err)
			continue
		}
		if err := d.addTable(tables, name); err != nil {
			gap("the device-mapper table of "+d.Name, err)
			continue
		}
		if d.Verity == nil {
			continue
		}
		read, err := ask[DeepDevice](h, AskDeepVerity, d.name)
		if err != nil {
			gap("the blocks of "+d.Name, err)
			continue
		}
		read.Name = d.Name
		if read.Bad != nil {
			read.Bad.Device = withDeviceNames(read.Bad.Device, name)
		}
		if read.Unreadable != nil {
			read.Unreadable.Device = withDeviceNames(read.Unreadable.Device, name)
		}
		v.Devices = append(v.Devices, read)
	}
	slices.SortFunc(v.Devices, func(a, b DeepDevice) int { return strings.Compare(a.Name, b.Name) })
	return gaps, nil
}

// composefsFiles names the folders that the overlay on / reads its objects from,
// the layers after "::" or each datadir+, and then the image of the booted composefs
// deployment: what it names is looked up among the objects. Source: the kernel's Documentation/filesystems/overlayfs.rst,
// "Data-only lower layers".
func composefsFiles(h *Host, mounts *mountTable) []string {
	at := mounts.lookup("/")
	if at < 0 || mounts.mounts[at].fstype != "overlay" {
		return nil
	}
	var names []string
	for _, option := range mounts.mounts[at].super {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "datadir+":
			names = append(names, path.Clean(value))
		case "lowerdir":
			_, data, _ := strings.Cut(value, "::")
			for dir := range strings.SplitSeq(data, "::") {
				if dir != "" {
					names = append(names, path.Clean(dir))
				}
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if d, err := findDeployment(h); err == nil && d != nil {
		names = append(names, "/"+d.dir()+"/"+composefsName)
	}
	return names
}
