// Package saml reads SAML 1.1 assertions (OASIS 2003) as the eHealth Secure Token Service issues them (dossier 01 A.8), and
// keeps their bytes so that they can be pasted unchanged into the header of a business request.
//
//	a, err := saml.Parse(node)                                // structure only: nothing is trusted yet
//	err = a.Verify(saml.Trust{Roots: pool}, time.Now())       // the STS signed this very element
//	msg, err := wsse.HolderOfKey(body, a.Raw, a.ID, cred, st) // verbatim
//
// Parse fails with ErrFormat on anything that is not a SAML 1.1 assertion in schema order, or that says two different
// things about its subject. Verify fails with ErrIssuer, ErrTrust, ErrUnsigned or an error of package dsig. Neither looks
// at the validity period: that is the caller's decision, with its own margin.
//
// An assertion names a person. Its String, its %v and %#v in all forms and its slog value are redacted, and no error text
// quotes it.
package saml
