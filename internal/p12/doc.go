// Package p12 writes PKCS#12 key stores (RFC 7292) that hold several private
// keys, which is the shape of an eHealth certificate: one entry
// "authentication" and one entry per encryption key, named by the decimal
// serial number of its certificate (dossier 01 B.4).
//
//	der, err := p12.Encode([]p12.Entry{
//		{Alias: "authentication", Key: authKey, Certificate: auth, Chain: []*x509.Certificate{ca}},
//		{Alias: enc.SerialNumber.String(), Key: encKey, Certificate: enc, Chain: []*x509.Certificate{auth, ca}},
//	}, password)
//
// The file uses what recent JDKs and OpenSSL 3 write themselves: every key and
// the bundle of certificates under PBES2 (PBKDF2-HMAC-SHA256, AES-256-CBC), and
// an HMAC-SHA256 over the whole with the key derivation of RFC 7292 appendix B.
// keytool, openssl pkcs12 (without -legacy) and go-pkcs12 read it. Nothing
// outside the standard library and x/crypto is needed to write it.
//
// [Encode] fails, and writes nothing, on an entry that no reader could use: no
// key, a key that is neither RSA nor ECDSA, a key that does not belong to its
// certificate, an alias that is empty or taken, a password that PKCS#12 cannot
// express. Error texts name entries by their position, never by alias, and never
// hold the password.
package p12
