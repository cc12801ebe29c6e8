package bcp_test

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/resilience/bcp"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"P30D": 30 * day, " PT15M\n": 15 * time.Minute, "P1Y2M3DT4H5M6.5S": (365+60+3)*day + 4*time.Hour + 5*time.Minute + 6500*time.Millisecond,
		"PT0S": 0, "PT0.0000000019S": 1, "P0Y": 0, "P10Y": 3650 * day,
		"": -1, "P": -1, "PT": -1, "P1DT": -1, "1D": -1, "-P1D": -1, "P-1D": -1, "P1": -1, "P1H": -1, "PT1D": -1, "P1D1D": -1, "PT1M1H": -1,
		"P1.5D": -1, "PT1.5M": -1, "PT.5S": -1, "PT1.S": -1, "PT1.2.3S": -1, "P11Y": -1, "PT99999999999S": -1, "P9Y400D": -1, "PTS": -1, "P1DT1HT1M": -1,
		"P１D": -1,
	} {
		got, err := bcp.ParseDuration(s)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
