// Package keystore gives the keys that an eHealth client signs and decrypts
// with: from the eHealth certificate (a PKCS#12 file with several keys), from a
// card or a hardware security module, or from any [crypto.Signer].
//
//	store, err := keystore.OpenFile("pharmacy.p12", password)
//	if err != nil { … }                            // ErrPassword, ErrNotKeystore, …
//	auth, err := store.Authentication()            // signs STS requests and messages
//	subject, err := keystore.ParseSubject(auth.Certificate)
//	key, ok := store.EncryptionBySerial(serial)    // opens what was sealed for us
//	if w := store.Expiry(time.Now()); w.Level != keystore.Fresh { … } // 30, 14, 7 days, expired
//
// An eHealth certificate has one entry "authentication" and one entry per
// encryption key, named by the decimal serial number of its certificate; old
// encryption keys stay, because old messages need them (dossier 01 B.4, dossier
// 02 D). The authentication entry is found by that alias, whatever its case, and
// else by its key usage digitalSignature.
//
// # What fails
//
// Errors wrap one of [ErrPassword], [ErrNotKeystore], [ErrNoKey],
// [ErrNoAuthentication], [ErrNoToken], or the error of the operating system. File
// names of eHealth certificates hold the national number of their owner: no error
// text repeats one. Files must be DER with a MAC (what the JDK, OpenSSL and
// eHealth's own tools write) and at most [MaxSize] bytes.
//
// # Secrets
//
// A password is a string or a []byte (see [Password]) and is kept only by a
// [Source], which must be able to open the file again. Neither stores, nor
// credentials, nor sources, nor subjects show their content when printed or
// logged.
//
// # Cards and hardware security modules
//
// Built with the tag pkcs11 (cgo), the package opens PKCS#11 tokens: see
// PKCS11 in pkcs11.go. Without the tag it is pure Go; [FromSigner] takes a signer
// from anywhere.
//
// For a Belgian eID card the module is that of the eID middleware, whose path is
// configuration because every system has another: on Debian
// /usr/lib/x86_64-linux-gnu/libbeidpkcs11.so.0, on Windows beidpkcs11.dll, on macOS
// /Library/Belgium Identity Card/Pkcs11/libbeidpkcs11.dylib. Choose the card by its
// label, usually BELPIC, or by the slot of its reader. The card's own
// authentication key carries the label "Authentication", so it is found like the
// eHealth entry; its other key, "Signature", is for signatures of the person and
// is never taken. Without a PIN function the middleware asks for the PIN in a
// window of its own, at the first signature:
//
//	src := keystore.PKCS11(keystore.Token{Module: modulePath, Label: "BELPIC"})
//	store, err := src.Open(ctx)
//	if err != nil { … }
//	defer store.Close()
//
// The tests run against SoftHSM; with a card this was not tried.
package keystore
