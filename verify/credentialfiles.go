package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// credentialRefs is what every check of credentials is evidence for.
var credentialRefs = []Ref{{sp80053, "IA-5"}, {sp80053, "SC-28"}, {sp80053, "AC-6"}, {pciDSS, "8.3.2"}, {iso27001, "8.3"}}

// lookedForCredentials reports whether the node looked for credentials at all.
func lookedForCredentials(s node.CredentialState) bool { return len(s.Looked) > 0 }

const credentialsUnsaid = "which credentials lie on it"

// judgeCredentialLists is a judge's answer over what was found: each fault ends in fail,
// and each file that was looked at and found well in pass.
func judgeCredentialLists(bad, good []string, badReason, goodReason, none string) Finding {
	for _, list := range []*[]string{&bad, &good} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	switch {
	case len(bad) > 0:
		return fail("open", badReason+": "+strings.Join(bad, "; "), bad...)
	case len(good) > 0:
		return pass("closed", goodReason, good...)
	}
	return pass("none", none)
}

// fileJudge holds files to a mode and to their owner.
type fileJudge struct {
	declared        profiles.Credentials
	bad, good, open []string
}

func (j *fileJudge) judge(f node.CredentialFile, limit uint32) {
	faults := credentialFaults(f, limit, j.declared)
	if j.bad = append(j.bad, faults...); len(faults) == 0 && !slices.Contains(j.good, credentialText(f)) {
		j.good = append(j.good, credentialText(f)) // once, however many links lead to it
	}
}

// called judges the files that are meant, by their own path or by that of a link in
// the same list. One that leads out of the list leads to what was not looked at.
func (j *fileJudge) called(list []node.CredentialFile, limit uint32, meant func(node.CredentialFile) bool) {
	for _, f := range list {
		switch {
		case !meant(f):
		case f.Type == node.Regular:
			j.judge(f, limit)
		case f.Type == node.Symlink && f.Link != "":
			if i := slices.IndexFunc(list, func(to node.CredentialFile) bool { return to.Path == f.Link }); i < 0 {
				j.open = append(j.open, f.Path+" -> "+f.Link)
			} else if list[i].Type == node.Regular {
				j.judge(list[i], limit)
			}
		}
	}
}

// any reports whether one of the files that are meant was found.
func (j *fileJudge) any() bool { return len(j.bad)+len(j.good)+len(j.open) > 0 }

func (j *fileJudge) finding(badReason, goodReason string) Finding {
	if len(j.bad) == 0 && len(j.open) > 0 {
		return unknown(unreadCode, "mode and owner of what these lead to were not looked at: "+strings.Join(j.open, "; "), j.open...)
	}
	return judgeCredentialLists(j.bad, j.good, badReason, goodReason, "")
}

// holdsPrivateKey reports whether there is a private key in the file, by what was read
// of it or else by its name.
func holdsPrivateKey(f node.CredentialFile) bool {
	return len(f.Keys) > 0 || len(f.Certificates) == 0 && (path.Ext(f.Path) == ".key" || strings.HasPrefix(path.Base(f.Path), "id_"))
}

func credentialText(f node.CredentialFile) string {
	return fmt.Sprintf("%s %04o %d:%d", f.Path, f.Mode, f.UID, f.GID)
}

// credentialFaults says what a file's mode and owner allow beyond max and root.
func credentialFaults(f node.CredentialFile, max uint32, declared profiles.Credentials) []string {
	var faults []string
	if f.Mode&^max != 0 {
		faults = append(faults, fmt.Sprintf("%s: mode %04o is more than %04o", f.Path, f.Mode, max))
	}
	if !ownerDeclared(f, declared) {
		faults = append(faults, fmt.Sprintf("%s: user %d owns it", f.Path, f.UID))
	}
	return faults
}

func ownerDeclared(f node.CredentialFile, declared profiles.Credentials) bool {
	return f.UID == 0 || slices.ContainsFunc(declared.Owners, func(o profiles.CredentialOwner) bool { return o.UID == f.UID && matches(f.Path, o.Path) })
}

// readersOf says who but root (or a declared owner, or one that mayOwn it) can
// read a file, as its mode and the folders above it allow; "" for nobody.
func readersOf(f node.CredentialFile, s node.CredentialState, declared profiles.Credentials, mayOwn func(node.CredentialFile, node.CredentialState) bool) string {
	if placeNames(declared.Readable, f.Path) {
		return ""
	}
	for _, d := range s.Folders {
		if d.UID == 0 && d.Mode&0o011 == 0 && d.Path != f.Path && below(f.Path, d.Path) {
			return "" // nobody else passes through
		}
	}
	switch {
	case !ownerDeclared(f, declared) && !mayOwn(f, s):
		return fmt.Sprintf("%s: user %d owns it", f.Path, f.UID)
	case f.Mode&0o006 != 0:
		return fmt.Sprintf("%s: mode %04o lets every user read or write it", f.Path, f.Mode)
	case f.Mode&0o060 != 0 && f.GID != 0:
		return fmt.Sprintf("%s: mode %04o lets group %d read or write it", f.Path, f.Mode, f.GID)
	}
	return ""
}

// inOwnHome reports whether a folder above the file, other than /, belongs to the
// file's own owner: a home directory.
func inOwnHome(f node.CredentialFile, s node.CredentialState) bool {
	return slices.ContainsFunc(s.Folders, func(d node.Folder) bool { return d.UID == f.UID && d.Path != "/" && below(f.Path, d.Path) })
}

// pathsTo are the paths that lead to each file of these lists, by the file's own: that
// one, and those of the links to it.
func pathsTo(lists ...[]node.CredentialFile) map[string][]string {
	paths := map[string][]string{}
	for _, f := range slices.Concat(lists...) {
		at := f.Path
		if f.Type == node.Symlink {
			at = f.Link
		}
		paths[at] = append(paths[at], f.Path)
	}
	return paths
}

// nodeRole is whether a control plane runs on the node.
type nodeRole int

const (
	roleUnknown nodeRole = iota
	roleWorker
	roleControlPlane
)

// roleOf tells the role of a node from what runs on it. A manifest of that name
// alone is none of a control plane: whoever plants it on a worker must not make the
// worker one. In a part of the machine alone, a control plane may run in the rest.
func roleOf(c node.ControlPlaneState, s node.System) nodeRole {
	switch {
	case c.Runs == "yes" && runsAsProcess(c, ""):
		return roleControlPlane
	case c.Runs == "no" && s.PIDNamespace == "initial":
		return roleWorker
	}
	return roleUnknown
}

// runsAsProcess reports whether a part of the control plane was seen to run; ""
// for any part.
func runsAsProcess(c node.ControlPlaneState, name string) bool {
	return slices.ContainsFunc(c.Parts, func(p node.ControlPlanePart) bool { return p.By == "process" && (name == "" || p.Name == name) })
}

// partsText names the parts of the control plane that were seen.
func partsText(c node.ControlPlaneState) string {
	var names []string
	for _, p := range c.Parts {
		names = append(names, p.Name+" ("+p.By+")")
	}
	return strings.Join(names, ", ")
}

// withoutRole is the finding where something lies there that belongs on a control
// plane and on nothing else, and the role of the node is not known.
func withoutRole(items []string) Finding {
	return unknown("role-unknown", "whether a control plane runs here could not be told, and these belong on one alone: "+strings.Join(items, "; "), items...)
}
