package etee_test

import "testing"

func TestOwnMessages(t *testing.T) { testMessages(t, own(t)) }

func TestOwnETKs(t *testing.T) { testETKs(t, own(t)) }
