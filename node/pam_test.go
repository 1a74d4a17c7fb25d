package node

import "testing"

func TestParsePAM(t *testing.T) {
	testStarts(t, parsePAM, []startRow{
		{name: "Debian's", text: "#%PAM-1.0\n@include common-auth\nauth\trequisite\tpam_nologin.so\nsession [success=ok ignore=ignore module_unknown=ignore default=bad] pam_selinux.so close\n", want: []string{"pam_nologin.so", "pam_selinux.so"}},
		{name: "Fedora's", text: "auth       substack     system-auth\n-session   optional     pam_ck_connector.so\naccount    include      password-auth\n", want: []string{"pam_ck_connector.so"}},
		{name: "pam_exec", text: "auth optional pam_exec.so quiet expose_authtok /opt/evil s3cret\n", want: []string{"pam_exec.so", "/opt/evil"}},
		{name: "a module with its folder", text: "auth sufficient /lib/security/pam_exec.so seteuid /opt/evil\n", want: []string{"/lib/security/pam_exec.so", "/opt/evil"}},
		{name: "a line that goes on", text: "auth required \\\n pam_unix.so nullok\n", want: []string{"pam_unix.so"}},
		{name: "another kind", text: "login required pam_unix.so\n", refused: "line 1 begins with none of"},
		{name: "no module", text: "auth required\n", refused: "line 1 names no module"},
		{name: "another control", text: "password = s3cret\n", refused: "line 1 has no control that is known"},
		{name: "an open control", text: "auth [success=1 pam_unix.so\n", refused: "line 1 names no module"},
	})
}
