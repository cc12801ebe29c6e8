// Package oracle lets tests ask programs that share no code with this module:
// xmllint for schemas and canonical XML, xmlsec1 and the JDK (Santuario) for
// canonical XML and XML signatures. It is for tests only.
//
//	func TestRequestIsValid(t *testing.T) {
//		oracle.ValidateXSD(t, oracle.Shared(t, "schemas", "...", "x.xsd"), request)
//	}
//
// A program or a shared file that is not on the machine skips the test with a
// printed reason. Where the environment variable CI is "true" it fails the test
// instead, so that nothing is skipped unseen there.
//
// Judges answer in two ways: functions that take only a verdict of "good" stop
// the test on a refusal (ValidateXSD, XMLSecVerify); their siblings that return an
// error or a result (XSDError, XMLSecError, JavaVerify) serve tests that expect a
// refusal. A judge that cannot do its work at all always stops the test.
package oracle
