package node

import "testing"

func TestParseSystemCrontab(t *testing.T) {
	testStarts(t, parseSystemCrontab, []startRow{
		{name: "Debian's crontab", text: "# m h dom mon dow user\nSHELL=/bin/sh\nPATH = /sbin:/bin\n17 *\t* * *\troot    cd / && run-parts --report /etc/cron.hourly\n25 6\t* * *\troot\ttest -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }\n", want: []string{"run-parts"}},
		{name: "at boot", text: "@reboot root /opt/evil --key s3cret\n", want: []string{"/opt/evil"}},
		{name: "a variable before the command", text: "* * * * * root KEY=s3cret /opt/a\n", want: []string{"/opt/a"}},
		{name: "what follows a percent sign is its input", text: "* * * * * root cat %/opt/evil\n", want: []string{"cat"}},
		{name: "an escaped percent sign", text: "* * * * * root date +\\%s; /opt/a\n", want: []string{"date", "/opt/a"}},
		{name: "a backslash goes on nowhere", text: "* * * * * root /opt/a \\\n* * * * * root /opt/b\n", want: []string{"/opt/a", "/opt/b"}},
		{name: "SUSE's line without a log", text: "-*/15 * * * * root /usr/lib/cron/run-crons\n", want: []string{"/usr/lib/cron/run-crons"}},
		{name: "comments alone", text: "# a\n\n  # b\n"},
		{name: "too few fields", text: "* * * * *\n", refused: "line 1 has no command"},
		{name: "a shadow", text: "root:*:1:0:9:7:::\n", refused: "line 1 has no command"},
		{name: "an open quote", text: "\n* * * * * root /bin/a 'b\n", refused: "line 2: a quote is not closed"},
		{name: "a NUL", text: "\x00", refused: "it is no text"},
	})
	testStarts(t, parseUserCrontab, []startRow{
		{name: "a user's table names no user", text: "*/5 * * * * /home/u/.x/run\n", want: []string{"/home/u/.x/run"}},
	})
}

func TestParseAnacrontab(t *testing.T) {
	testStarts(t, parseAnacrontab, []startRow{
		{name: "cronie's", text: "SHELL=/bin/sh\nRANDOM_DELAY=45\n1\t5\tcron.daily\t\tnice run-parts /etc/cron.daily\n@monthly 45 cron.monthly /opt/a\n", want: []string{"nice", "/opt/a"}},
		{name: "a line that goes on", text: "1 5 x \\\n/opt/a\n", want: []string{"/opt/a"}},
		{name: "too few fields", text: "1 5 x\n", refused: "line 1 has no command"},
	})
}
