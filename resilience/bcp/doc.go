// Package bcp obeys the platform's own continuity orders: the signed service list says which address of a service is to be
// used, and the client does so by itself (dossier 01 D, dossier 06 B.3). Orders are verified before they are
// obeyed; what does not verify changes nothing.
//
//	dir, err := bcp.New(bcp.Config{
//		Environment: bcp.Acceptance,
//		URLs:        []string{bcp.DefaultURL(bcp.Acceptance)},
//		HTTP:        client,
//		Trust:       bcp.Trust{Roots: pinned, Issuer: func(cn string) bool { return cn == bcp.IssuerAcceptance }},
//		Dir:         "/var/lib/mypharmacy/ehealth",
//		OnEvent:     func(e bcp.Event) { … },
//	})
//	dir.Start()
//	defer dir.Close()
//
//	router := bcp.NewRouter(bcp.RouterConfig{Directory: dir, Breakers: breakers})
//	route := router.Route(service, resilience.Read)
//	for e, ok := route.Endpoint(); ok; e, ok = route.Next(failure) { failure = ask(e.URL) … }
//
// # Where addresses come from
//
// A [Directory] uses the first of: the newest verified list (from the network, from disk, or shipped with the
// application), and the static addresses of the configuration, by default the table of December 2022
// ([DefaultAddresses]). [New] reads the disk only; the network is asked by the goroutine of [Directory.Start], at once
// and then every 5 to 15 minutes, every minute for as long as [Directory.Alert] is called. A list server that hangs, or
// never ends its answer, costs nothing but that goroutine's 10 seconds.
//
// Both versions of the list are read, also mixed in one document. Elements and attributes that are not known are passed
// over. A service is found by its id, by an alias, and by the addresses configured for it. A list that names no address
// for a service leaves the static ones. The Cache element is data ([Directory.CacheRule]); its stylesheet is never
// executed.
//
// # What is refused
//
// [Verify] lists the rules; each refusal is an error of its own (ErrWrapped, ErrOlder, …), raised as one [Event] for as
// long as the same list is refused. Memory and disk stay as they were. A stored copy is verified again when it is
// loaded, with two differences: the certificate of its signer may have expired since, and its instant is not compared
// with the clock, which may be wrong at boot.
//
// Hosts: a service that is known already (configured, or in the list in force) may only be on a host that is known
// already or allowed by [Trust].Hosts, else the whole list is refused. A service of another owner on an unknown host is
// left out. Where nothing is known, the signature alone decides.
//
// Not checked: revocation of the signer's certificate, and whether an older list is shown to a client that has none
// (nothing on disk, nothing embedded).
//
// # Which address a call asks
//
// A [Router] sends a call to the lowest Order among the ACTIVE addresses, else to the lowest Order of all. An INACTIVE
// alternate is asked when the breaker of that address is open, or after an attempt of which nothing was carried out
// (not sent, or "service not available"); see [FailoverPolicy]. A write whose outcome is unknown never goes
// elsewhere, a refusal of the caller (SOA-01001, SOA-01002) neither.
//
// When its commanded address is broken a service is [Away] for at least five minutes, longer when it breaks again soon
// after a return (20 minutes, then an hour). It is [Returning] for about a minute in which the share of calls to the commanded
// address grows from a tenth to all. An order of the list to an alternate is obeyed by the next call; an order back to the
// default address is obeyed with the same slow start. [Router.Export] and [Router.Import] carry all this over a restart.
//
// # Personal data
//
// None: lists hold services and addresses. Errors, events and file names quote neither.
package bcp
