// Package wsse secures SOAP 1.1 messages the two ways that eHealth knows, and checks messages so secured.
//
//	X509         Timestamp, BinarySecurityToken, Signature over Body, Timestamp and token: STS (dossier 01 A.6)
//	HolderOfKey  Timestamp, SAML assertion, Signature over Body and Timestamp: business services (dossier 01 C.2)
//	Plain        no Security header: ETK depot, KGSS getNewKey (dossier 01 C.1)
//
// Building takes the payload element as bytes and returns the whole envelope, fresh timestamp and signature included; call
// it once per HTTP attempt, because a message lives 60 seconds.
//
//	msg, err := wsse.HolderOfKey(payload, assertion.Raw, assertion.ID, cred, wsse.Stamp{Now: time.Now()})
//
// Who makes many messages with one token reads that once, with NewAssertion.
//
// Payload and assertion stand in the envelope byte for byte as given.
//
// Verify is for servers (the sandbox). It accepts what real clients send: references and header children in any order,
// timestamps to the second or the millisecond, in UTC or with an offset, InclusiveNamespaces or none. It refuses a
// message unless one signature covers the Body and the Timestamp of this very tree (and the token in the X.509 profile), and
// everything that two readers could read differently.
//
//	v, err := wsse.Verify(root, wsse.Policy{Now: time.Now(), Replay: seen})
//	// v.Body was signed by v.Certificate; v.Assertion still awaits v.Assertion.Verify
//
// Verify trusts nobody: whether the certificate leads to a trusted root and who it names is for the caller to decide, likewise
// the assertion's signature and validity. It fails with the sentinels of this package or of package dsig; no
// error text quotes the message.
package wsse
