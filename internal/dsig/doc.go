// Package dsig makes and checks XML signatures (XML-DSig, W3C Recommendation of 2008) of the shape that eHealth uses:
// N same-document references, exclusive canonicalisation, RSA-SHA256 or ECDSA-SHA256, SHA-256 digests
// (dossier 01 A.6, A.8, C.2, D.5).
//
// Most readers want internal/wsse (message security) or internal/saml (assertions), which sit on top of this package.
//
// # Signing
//
//	sig, err := dsig.Sign(key, []dsig.Ref{{Node: body, URI: "#id-1"}}, dsig.SignOptions{
//		ID:      "SIG-1",
//		KeyInfo: func(w *xmltree.Writer) { … },
//	})
//
// Sign returns the bytes of a self-contained ds:Signature element; the caller puts them where they belong. Any
// [crypto.Signer] will do: a key in memory, a card, an HSM.
//
// # Verifying
//
// Verify takes the ds:Signature inside its parsed document and answers one question: which nodes of this very tree
// were signed, and by which certificate. Whether those are the nodes that the caller is about to read is for the
// caller to ask, with [Verified.Covers].
//
//	v, err := dsig.Verify(sig, dsig.Policy{IDs: …, Key: …})
//	if err != nil || !v.Covers(body) { refuse }
//
// The caller says what it accepts, the message never decides. Refused always: references that are empty, absent, external or
// XPointer; XPath, XSLT, base64 and every other transform than enveloped-signature and C14N; HMAC and DSA; the
// #WithComments forms of C14N (a signer that signs comments disagrees with every reader that skips them, and no
// eHealth peer uses them); RSA keys below 2048 bits unless [Policy.AllowShortRSA]; ids borne by two elements.
// Refused unless asked for: SHA-1 ([Policy.AllowSHA1]) and inclusive C14N ([Policy.AllowInclusive]).
//
// Comments are not part of what is signed (C14N without comments drops them). Readers are safe as long as they read text
// through [xmltree.Node.Text], which refuses an element with a comment in it.
//
// # Failures
//
// Every error of Verify is one of the sentinels Err… under errors.Is. No error text quotes the document.
package dsig
