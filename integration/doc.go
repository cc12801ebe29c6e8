// Package integration holds black-box tests of the clients against a platform. It has no code of its own.
//
//	go test ./integration                                                     # against a sandbox that the tests start
//	EHEALTH_ENVIRONMENT=/etc/ehealth/acceptance.json go test ./integration    # against eHealth's acceptance environment
//
// EHEALTH_ENVIRONMENT is a configuration file as the ehealth command reads it (see [ehealth.LoadConfig]), with the
// vendor's own certificate and licence. Three more members are read from it, all of them optional:
//
//	"people":        [{"role": "pharmacist", "identity": …, "login": …, "caller": …}, …]
//	"organisations": [{"role": "medicalhouse", "identity": …, "caller": …}, …]
//	"patients":      [{"ssin": "…", "scenario": "insured"}, …]
//
// People and organisations are callers beside the one of the file itself; a test that needs a role which the file does
// not offer is skipped. Patients are the test patients that the vendor was given; scenario is one of insured,
// preferential, transfer, not-insured, multi-io, no-io, hospitalised and unknown-patient, with the meaning of the
// constants of package sandbox. A scenario without a patient is skipped. The sandbox.json of a sandbox in another
// process is such a file too.
//
// What a test may know depends on the environment. Everywhere it checks what the protocol promises: who was asked about
// is answered about, references come back, refusals are typed, provenance is true. In a sandbox it also checks the exact
// values of the synthetic population, injects faults through the admin API and counts what the platform received.
// Nothing is skipped in a run without EHEALTH_ENVIRONMENT; a skip there is a failure.
//
// The adversarial tests (adversarial_*_test.go) always run against sandboxes of their own, some of them in virtual time.
// They go through the same public door, with somebody between it and the platform.
//
// Calls made here are reads and logins, which leave nothing behind on the platform but entries in its logs. Letters are
// sent in sandboxes only.
package integration

import _ "github.com/ehealth-continuity/ehealth" // for the links above
