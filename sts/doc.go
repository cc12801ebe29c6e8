// Package sts gets SAML tokens from the Secure Token Service of the eHealth platform and
// secures messages to its services with them.
//
//	client, err := sts.New(exchanger, sts.Config{
//		Identification: credential,
//		Trust:          sts.Trust{Roots: roots},
//	})
//	tokens, err := sts.Cached(client.Source(sts.Request{
//		Identity: sts.Identity{Quality: identity.Doctor, SSIN: ssin},
//	}))
//	security := sts.HolderOfKey(tokens) // for calls to the services
//
// # What it does
//
// [Client.Issue] speaks WS-Trust 1.3 as the platform does (dossier 01 A.5): one message when the
// certificate that signs the request is also the one that the token is bound to, and a signed
// challenge at the same address when it is not. [ClaimsFor] knows which claims belong to which
// quality (dossier 01 A.12).
//
// [Cached] makes many callers share one token: one request however many wait, a caller who gives up
// does not stop the others, a failing STS is not asked more than once a second, and a token is
// never given out at or after its end. [HolderOfKey] signs messages with the token and, when a
// service does not accept it, drops it once.
//
// # What is checked
//
// A returned assertion is believed only when all of this holds; otherwise nothing is returned:
//
//   - the answer has our Context, if any, and exactly one assertion;
//   - its one XML signature covers it whole and leads to [Trust.Roots], and the signer's name is one of
//     the platform's own ([Trust.SignerCN]);
//   - its Issuer is the STS; its holder-of-key certificate is ours, byte for byte;
//   - what it says about the person is what we asserted;
//   - it is valid now, with a tolerance for clocks at its beginning and none at its end.
//
// What is checked are the very bytes that later go into messages.
//
// Claims that were not granted are no error: they are data ([Token.Refused], [Token.Has]).
//
// # How it fails
//
// Every error of Issue, Renew and, with a Client as its source, Token is a *[fault.Error]. Its Kind is
//
//   - Invalid: the request cannot be made (errors.Is [ErrClaims]), or the STS refuses its form;
//   - Denied: the STS refuses the certificate or the person; notice D-CLOCK when the clock is the reason;
//   - Security: the answer failed one of the checks above (errors.Is [ErrUntrusted], [ErrIssuer],
//     [ErrHolder], [ErrPerson], [ErrNotYetValid], [ErrExpired], [ErrNoToken]), or belonged to another request;
//   - Unavailable, Timeout, Throttled, Protocol: no usable answer; notice D-AUTH-NONE;
//   - Canceled: the caller gave up. Local: this computer could not sign.
//
// Issuing a token changes nothing that matters, so whatever the Outcome, asking again is harmless. No
// error, String or log value holds an identifier, a name or a part of a token.
//
// # Outages
//
// [Durable] is for software that must work on while the STS is down. It renews the token early and at
// a random moment, uses it to its very end, keeps it in a [Store] over restarts and between
// processes, and announces with an [Event] what the person should know. [Chain] logs in with the
// identity card, else with the eHealth certificate, and records that it did. [Refusals] tells
// an outage that looks like a lost right from a right that was lost.
//
//	card := sts.Login{Name: "identity card", Source: byCard.Source(request)}
//	certificate := sts.Login{Name: "eHealth certificate", Source: byCertificate.Source(request)}
//	tokens, err := sts.Durable(sts.Chain(card, certificate),
//		sts.WithStore(sts.FileStore(vault), byCertificate.Binding(request)),
//		sts.OnEvent(show))
//	defer tokens.Close()
//	security := sts.HolderOfKey(tokens, sts.WithRefusals(refusals))
//
// A token taken from a store was checked like one from the STS; a store that fails costs a login
// and nothing else.
package sts
