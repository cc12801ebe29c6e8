// Package etee is the end-to-end encryption of the Belgian eHealth platform: sealed messages and the tokens (ETK) that say
// with which key to seal for somebody (dossier 02).
//
// A sealed message is signed, encrypted and signed again. The sender seals for holders of ETKs, or for an unknown
// recipient: whoever may fetch a symmetric key from the platform.
//
//	store, err := keystore.OpenFile("practice.p12", password)
//	auth, err := store.Authentication()
//	sealer, err := etee.NewSealer(auth)
//
//	token, err := etee.ParseETK(fromTheDepot)
//	hospital, err := token.Check(trust, etee.Policy{}, time.Now())
//	sealed, err := sealer.Seal(letter, hospital)
//
//	opener, err := etee.NewOpener(store, trust, etee.Policy{NonRepudiation: true})
//	msg, err := opener.Open(sealed, etee.ReceivedAt(published))
//	sender, err := msg.Report.Sender()
//
// # Whose keys
//
// [Depot] gets the tokens of others from the platform. It keeps them for [DefaultTTL], on disk too when it has a
// [TokenStore], and goes on with them for [DefaultMaxStale] while the platform does not answer: earlier private keys stay
// with their holders. Every token is checked before every use, and that it is the one of the holder who was asked for.
//
//	depot, err := etee.NewDepot(exchanger, etee.DepotConfig{Trust: trust, Store: etee.FileStore(vault)})
//	hospital, err := etee.NewIdentifier(identity.TypeHospital, "70999941", "")
//	found, err := depot.Get(ctx, hospital)
//	sealed, err := sealer.Seal(letter, found.Recipients()...)
//
// When a service cannot open what was sealed for it, [Depot.Drop] its tokens and seal anew; [Depot.Find] goes through the
// numbers that a service may have. [KGSS] gets symmetric keys, and does so by itself.
//
// # What is checked
//
// Open gives content only when the report has no errors: both signatures, the key usages, lengths, validity and chain of
// the certificates up to [Trust], the algorithms of the eHealth policies and nothing else, and that both layers are by
// the same party. Revocation is not looked at; no official client does by default. A [Policy] says whether the content
// must be signed with non-repudiation, and which of the checks that the official library does not make are made: by
// default all of [Advised].
//
// The sender claims the signing time, and certificates are validated at that time: a sender with an expired certificate can
// pass with a backdated message, which gives the warning [SigningTimeExpired]. Who knows when the message was received
// says so with [ReceivedAt].
//
// # What fails
//
// A message or an ETK that is not accepted gives a [*Refusal]. Its text never says why, because reasons told to a sender are an
// oracle; its report does, in the names of the official library ([Code]), for the own log. Sealing fails with [ErrNoRecipient],
// [ErrRecipient], [ErrKEK] or [ErrSigner].
//
// Calls of the platform fail with a *fault.Error. It wraps a [*DepotError] when the depot has no token (Kind NotFound) or does not
// like the number (Invalid), a *Refusal when its tokens must not be used (Security), a [*KGSSError] when the key service
// gives no key. Who is not on a key's list is Denied.
//
// # Personal data
//
// Nothing in this package prints contents, keys, names or numbers. Certificates and what [Report.Sender] returns hold names.
// Tokens are public, but whose tokens somebody keeps is not: a TokenStore must be encrypted. Keys of the KGSS stay in memory.
package etee
