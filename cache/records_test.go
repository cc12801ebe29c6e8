package cache_test

import (
	"path/filepath"
	"testing"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/cache/cachetest"
)

func TestRecordsPassTheSuite(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cache.RecordStore {
		s, err := cache.OpenRecords(filepath.Join(t.TempDir(), "answers.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
