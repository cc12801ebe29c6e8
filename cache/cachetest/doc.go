// Package cachetest tests whether a [cache.RecordStore] does what its interface promises.
//
//	func TestRecords(t *testing.T) {
//		cachetest.Run(t, func(t *testing.T) cache.RecordStore { return newStore(t) })
//	}
package cachetest
