// Package ehealth is the door to the clients of this module: typed clients for the Belgian
// eHealth platform whose every call ends, within its deadline, in a definite answer.
//
// [Open] wires everything once: the key store, the addresses of an [Environment], the login
// token with its cache, and the service clients.
//
//	p, err := ehealth.Open(ctx, ehealth.Config{
//		Environment: ehealth.Acceptance,
//		Software:    ehealth.Software{Name: "MyPractice/4.2", Contact: "support@example.be", Licence: licence},
//		Identity:    keystore.File("doctor.p12", password),
//		Caller:      insurability.Caller{Quality: identity.Doctor, NIHII: nihii, SSIN: ssin, Name: name},
//		Trust:       ehealth.Trust{STS: roots},
//	})
//	defer p.Close()
//	answer, err := p.Insurability.Check(ctx, insurability.Query{Patient: patient})
//
// The same from a configuration file, which is also what the ehealth command reads, is
// [LoadConfig].
//
// With [Config.Outbox] and [Config.Mail], which may both be empty, letters go through eHealthBox
// exactly once, and those that cannot leave now wait on disk:
//
//	sent, err := p.Mail.Send(ctx, letter)              // accepted, queued or being found out
//	for m, err := range p.Mail.Sync(ctx, store, opts) { … } // what is new, each once
//
// Every failed call returns a *[Error]: which service and address, the platform's ticket,
// what sort of failure ([Error.Kind]), whether the request was executed ([Error.Outcome]), and
// the id of the notice to show to the person. No error, log value or String of this module
// holds an SSIN, a name, a token or a message body.
//
// Nothing here needs an eHealth account to try: package sandbox is the platform in one
// process, and examples/quickstart gets a signed answer from it.
package ehealth
