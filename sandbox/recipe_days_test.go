package sandbox

import (
	"testing"
	"time"
)

// TestRecipeLastExpiration: a year less a day, also from the day that the next year lacks.
func TestRecipeLastExpiration(t *testing.T) {
	for today, want := range map[string]string{
		"2030-01-15": "2031-01-14", "2027-02-28": "2028-02-27", "2028-02-28": "2029-02-27", "2028-02-29": "2029-02-27", "2028-03-01": "2029-02-28",
		"2027-03-01": "2028-02-29", "2030-01-01": "2030-12-31",
	} {
		day, err := time.Parse(time.DateOnly, today)
		if err != nil {
			t.Fatal(err)
		}
		if got := lastExpiration(day).Format(time.DateOnly); got != want {
			t.Errorf("from %s to %s, want %s", today, got, want)
		}
	}
}
