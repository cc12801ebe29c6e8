package keystore

import (
	"crypto/x509"
	"testing"
	"time"
)

func TestExpiryBoundaries(t *testing.T) {
	const day = 24 * time.Hour
	end := time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		left time.Duration
		want Level
	}{
		{1000 * day, Fresh},
		{30*day + 1, Fresh},
		{30 * day, Within30Days},
		{14*day + 1, Within30Days},
		{14 * day, Within14Days},
		{7*day + 1, Within14Days},
		{7 * day, Within7Days},
		{1, Within7Days},
		{0, Within7Days}, // NotAfter itself is still valid
		{-1, Expired},
		{-1000 * day, Expired},
	} {
		// The zone of now must not matter.
		now := end.Add(-tc.left).In(time.FixedZone("", 2*3600))
		w := Credential{Certificate: &x509.Certificate{NotAfter: end}}.Expiry(now)
		if w.Level != tc.want {
			t.Errorf("%v left: %v, want %v", tc.left, w.Level, tc.want)
		}
		if !w.Date.Equal(end) || w.Date.Location() != time.UTC {
			t.Errorf("%v left: date %v", tc.left, w.Date)
		}
		if notice := map[bool]string{true: "", false: "D-CERT-SOON"}[tc.want == Fresh]; w.Notice != notice {
			t.Errorf("%v left: notice %q, want %q", tc.left, w.Notice, notice)
		}
	}
}

// The warning of a certificate begins where its validity, as x509 judges it, is
// still given, and ends where it is not.
func TestExpiryAgreesWithX509(t *testing.T) {
	c := issue(t, spec{usage: x509.KeyUsageCertSign, ca: true}, ecKey(), nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(c)
	for _, off := range []time.Duration{-time.Second, 0, time.Second} {
		now := c.NotAfter.Add(off)
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now})
		if expired := (Credential{Certificate: c}).Expiry(now).Level == Expired; expired != (err != nil) {
			t.Errorf("%v from the end: expired %v, x509 says %v", off, expired, err)
		}
	}
}

func TestStoreExpiry(t *testing.T) {
	at := func(days int) Credential {
		return Credential{Certificate: &x509.Certificate{NotAfter: begin.AddDate(0, 0, days), NotBefore: begin.AddDate(-3, 0, days), KeyUsage: encrypts}}
	}
	for name, tc := range map[string]struct {
		all  []Credential
		auth int
		want Level
		date time.Time
	}{
		"authentication first":          {[]Credential{at(10), at(20)}, 0, Within14Days, begin.AddDate(0, 0, 10)},
		"encryption first":              {[]Credential{at(20), at(5)}, 0, Within7Days, begin.AddDate(0, 0, 5)},
		"old encryption keys are quiet": {[]Credential{at(100), at(90), at(-5), at(-900)}, 0, Fresh, begin.AddDate(0, 0, 90)},
		"only old encryption keys":      {[]Credential{at(-900), at(-5)}, -1, Expired, begin.AddDate(0, 0, -5)},
		"nothing":                       {nil, -1, Fresh, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.all {
				if i == tc.auth {
					tc.all[i].Certificate.KeyUsage = signs
				}
			}
			w := newStore(tc.all, tc.auth).Expiry(begin)
			if w.Level != tc.want || !w.Date.Equal(tc.date) {
				t.Errorf("%v on %v, want %v on %v", w.Level, w.Date, tc.want, tc.date)
			}
		})
	}
}

func TestLevelString(t *testing.T) {
	want := []string{"fresh", "30 days", "14 days", "7 days", "expired", "invalid"}
	for i, w := range want {
		if got := Level(i).String(); got != w {
			t.Errorf("Level(%d) = %q, want %q", i, got, w)
		}
	}
}
