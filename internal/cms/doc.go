// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) as far as eHealth's end-to-end encryption needs
// it: SignedData and EnvelopedData, in BER as the official library writes it and in DER (dossier 02 B.1).
//
// Most readers want package etee, which puts three of these messages around each other and knows whom to trust. Here is
// no policy: the caller names the algorithms it accepts and finds the keys.
//
// # Reading
//
//	s, err := cms.ParseSignedData(msg, cms.Limits{})
//	if err != nil || s.Detached || len(s.Signers) != 1 { refuse }
//	signer := &s.Signers[0]
//	cert, certs, _ := s.Signer(signer)                      // nil when the message does not hold it
//	digest := s.Content.Digest(crypto.SHA256)
//	err = signer.Verify(digest, cert.PublicKey, cms.VerifyOptions{Accept: []cms.Scheme{cms.PSSWithSHA256}, Salt: 32})
//
//	e, err := cms.ParseEnvelopedData(s.Content.Compact(), cms.Limits{})
//	key, err := e.Recipients[0].KeyTrans.Unwrap(decrypter, e.Cipher().KeySize())
//	plain, err := e.DecryptInPlace(key)
//
// Parsers walk over the bytes once and copy nothing; what they return refers to the message. Compact and DecryptInPlace
// work within the bytes that were parsed, so that a message is opened in the memory it takes itself.
//
// # Writing
//
//	outer, err := cms.NewSignedWriter(w, 0, cms.SignOptions{Certificate: c, Signer: key, SigningTime: now})
//	_, err = io.Copy(outer, content)
//	err = outer.Close()                                     // signs
//
// Writers are streams and hold some 30 kB each whatever the content. They nest: an EnvelopedWriter may write into a SignedWriter.
//
// # What fails
//
// Every error matches one of the sentinels Err…; none quotes the message. Parsers are bounded in size, depth and number of
// parts by [Limits], and their time is linear in the input.
//
// # Oracles
//
// A receiver that says whether padding was right can be made to decrypt (Bleichenbacher 1998, Vaudenay 2002). Unwrap of a key
// under RSA never fails for its padding: it returns a random key, with which the content cannot be decrypted. Padding of
// the content is checked without telling where it is wrong. The caller does the rest: verify the signature around the
// message before decrypting, and answer every failure alike.
package cms
