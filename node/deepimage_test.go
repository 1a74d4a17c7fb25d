package node

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// askedHost is a lab guest whose image is read again, as package deep would.
func askedHost(t *testing.T, edit func(*memHost)) *memHost {
	t.Helper()
	m := labHost(t, "c-initrd-erofs/before")
	m.kernel[Question{AskDeep, ""}] = DeepAsked{"yes"}
	name := m.kernel[Question{AskDM, ""}].([]DMTable)[0].Name
	m.kernel[Question{AskDeepVerity, name}] = DeepDevice{
		Algorithm: "sha256", DataBlocks: 10, Read: 3, RootHash: "aa", Computed: "aa",
		Bad: &BadBlock{Of: BadData, Block: 3, Device: labData(t, m), Offset: 12288, Wanted: "aa", Computed: "bb"},
	}
	if edit != nil {
		edit(m)
	}
	return m
}

// labData is the number of the device that the guest's verity device reads.
func labData(t *testing.T, m *memHost) string {
	t.Helper()
	v, err := ParseVerity(m.kernel[Question{AskDM, ""}].([]DMTable)[0].Targets[0].Params)
	if err != nil {
		t.Fatal(err)
	}
	return v.Data
}

func TestDeepImage(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*memHost)
		code Code // of an error
		gap  Code
	}{
		{name: "read"},
		{name: "the tables may not be read", code: Denied, edit: func(m *memHost) {
			delete(m.kernel, Question{AskDM, ""})
			m.errors = map[Question]*Error{{AskDM, ""}: {"asking the kernel for", AskDM, Denied, ""}}
		}},
		{name: "the disk may not be read", gap: Denied, edit: func(m *memHost) {
			name := m.kernel[Question{AskDM, ""}].([]DMTable)[0].Name
			delete(m.kernel, Question{AskDeepVerity, name})
			m.errors = map[Question]*Error{{AskDeepVerity, name}: {"opening", "/dev/vda", Denied, ""}}
		}},
		{name: "a table that is none", gap: Malformed, edit: func(m *memHost) {
			m.kernel[Question{AskDM, ""}].([]DMTable)[0].Targets[0].Params = "1"
		}},
		{name: "nobody says what block devices there are", code: Denied, edit: func(m *memHost) { m.files["sys/block"] = "! denied" }},
	} {
		m := askedHost(t, tt.edit)
		v, gaps, err := DeepImage.Read(t.Context(), m.host())
		switch {
		case tt.code != "":
			if codeOf(err) != tt.code {
				t.Errorf("%s: got %+v, %v, want %s", tt.name, v, err, tt.code)
			}
		case tt.gap != "":
			if err != nil || len(v.Devices) > 0 || len(gaps) != 1 || gaps[0].Code != tt.gap || gaps[0].Part != "devices" {
				t.Errorf("%s: got %+v, gaps %+v, %v, want a gap %s", tt.name, v, gaps, err, tt.gap)
			}
		case err != nil || len(gaps) > 0 || v.Asked != "yes" || len(v.Devices) != 1 || v.Devices[0].Name == "" || deviceNumber.MatchString(v.Devices[0].Bad.Device):
			t.Errorf("%s: got %+v, gaps %+v, %v, want the device by name", tt.name, v, gaps, err)
		}
	}
}

// Nothing is read where nobody asked, and a capture from before there was this
// question was taken by somebody who did not ask.
func TestDeepImageNotAsked(t *testing.T) {
	want := DeepState{Asked: "no", Devices: []DeepDevice{}, Files: []DeepFiles{}}
	for name, m := range map[string]*memHost{
		"no":           {kernel: map[Question]any{{AskDeep, ""}: DeepAsked{"no"}}},
		"not recorded": {errors: map[Question]*Error{{AskDeep, ""}: {"asking the kernel for", AskDeep, NotRecorded, ""}}},
	} {
		v, gaps, err := DeepImage.Read(t.Context(), m.host())
		if diff := cmp.Diff(want, v); err != nil || len(gaps) > 0 || diff != "" {
			t.Errorf("%s: gaps %v, %v (-want +got):\n%s", name, gaps, err, diff)
		}
	}
	if _, _, err := DeepImage.Read(t.Context(), (&memHost{}).host()); codeOf(err) != NoKernel {
		t.Errorf("a file tree: got %v", err)
	}
}

func TestComposefsFiles(t *testing.T) {
	const deployment = "/sysroot/ostree/deploy/fcos/deploy/cbcc24c93f5e2c9ab8ad4e0bc4a5b1a4a0c3c2c2a11ea8d5f0cf1c8a2dbbd6f7.0"
	etc := "2 1 252:4 " + deployment[len("/sysroot"):] + "/etc /etc rw,relatime - xfs /dev/vda4 rw\n"
	for _, tt := range []struct {
		name, root, more string
		want             []string
	}{
		{"Fedora CoreOS", "overlay composefs ro,lowerdir+=/run/ostree/.private/cfsroot-lower,datadir+=/sysroot/ostree/repo/objects,verity=require", etc,
			[]string{"/sysroot/ostree/repo/objects", deployment + "/.ostree.cfs"}},
		{"before there was datadir+", "overlay overlay ro,lowerdir=/run/ostree/.private/cfsroot-lower::/sysroot/ostree/repo/objects", etc,
			[]string{"/sysroot/ostree/repo/objects", deployment + "/.ostree.cfs"}},
		{"two stores, and no ostree", "overlay none ro,lowerdir=/image::/a/objects::/b/objects/", "", []string{"/a/objects", "/b/objects"}},
		{"an overlay that is no composefs", "overlay overlay ro,lowerdir=/a:/b", etc, nil},
		{"no overlay", "ext4 /dev/vda1 ro", etc, nil},
	} {
		m := &memHost{files: map[string]string{"proc/cmdline": "quiet\n", "proc/1/mountinfo": "1 0 0:39 / / ro,relatime - " + tt.root + "\n" + tt.more, "run/ostree-booted": ""}}
		h := m.host()
		mounts, err := h.gathering.mounts()
		if err != nil {
			t.Fatal(err)
		}
		if got := composefsFiles(h, mounts); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The files of a composefs that are asked for: what is not there is left out, what
// cannot be read is a gap.
func TestDeepImageFiles(t *testing.T) {
	objects := Question{AskDeepFiles, "objects"}
	m := &memHost{
		files:  map[string]string{"proc/cmdline": "quiet\n", "proc/1/mountinfo": "1 0 0:39 / / ro - overlay none ro,lowerdir=/image::/objects::/gone\n", "sys/block/": ""},
		kernel: map[Question]any{{AskDeep, ""}: DeepAsked{"yes"}, objects: DeepFiles{Path: "/objects", Read: 3}},
		errors: map[Question]*Error{{AskDeepFiles, "gone"}: {"looking at", "/gone", Absent, ""}},
	}
	v, gaps, err := DeepImage.Read(t.Context(), m.host())
	if diff := cmp.Diff([]DeepFiles{{Path: "/objects", Read: 3}}, v.Files); err != nil || len(gaps) > 0 || diff != "" {
		t.Errorf("gaps %v, %v (-want +got):\n%s", gaps, err, diff)
	}
	delete(m.kernel, objects)
	m.errors[objects] = &Error{"looking at", "/objects", Untouched, ""}
	v, gaps, err = DeepImage.Read(t.Context(), m.host())
	if err != nil || len(v.Files) > 0 || len(gaps) != 1 || gaps[0].Code != Untouched || gaps[0].Part != "files" {
		t.Errorf("got %+v, gaps %v, %v, want a gap", v, gaps, err)
	}
}

// What somebody asked for is not cut by the deadlines of the other sources, but by
// the end of the whole, and is read after them.
func TestGatherOnDemand(t *testing.T) {
	var order []string
	source := func(name string, every Every, read func(context.Context)) AnySource {
		return Source[Passing]{Name: name, Every: every, Read: func(ctx context.Context, _ *Host) (Passing, []Gap, error) {
			order = append(order, name)
			read(ctx)
			return Passing{}, nil, nil
		}}
	}
	bounded, unbounded := false, true
	facts := gather(t.Context(), &Host{FS: &memHost{}}, noon, []AnySource{
		source("demand", OnDemand, func(ctx context.Context) { _, unbounded = ctx.Deadline() }),
		source("hour", Hour, func(ctx context.Context) { _, bounded = ctx.Deadline() }),
		source("scan", Scan, func(context.Context) {}),
	})
	if len(facts) != 3 || !slices.Equal(order, []string{"scan", "hour", "demand"}) || !bounded || unbounded {
		t.Errorf("got %d facts in the order %q; a deadline for what is asked: %t, for the others: %t", len(facts), order, unbounded, bounded)
	}

	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	facts = gather(ctx, &Host{FS: &memHost{}}, noon, []AnySource{source("demand", OnDemand, func(context.Context) { cancel(); <-release })})
	if f := facts["demand"]; f.Missing == nil || f.Missing.Code != Blocked {
		t.Errorf("interrupted: got %+v, want that it is missing", f)
	}
}
