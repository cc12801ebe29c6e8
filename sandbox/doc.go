// Package sandbox is the eHealth platform in one process, for tests, demonstrations and drills: real HTTP and TLS,
// real signatures, real state, and every way of failing that the platform has shown.
//
//	sb, err := sandbox.New(sandbox.Config{})            // no sockets: works in a testing/synctest bubble
//	defer sb.Close()
//	doctor := sb.Person(identity.Doctor, 0)
//	cred, err := doctor.Authentication()                // certificate of the eHealth layout, and its key
//	client := sb.HTTPClient()                           // trusts the sandbox, dials it through net.Pipe
//	url := sb.URL("uddi:ehealth-fgov-be:business:genericinsurability:v1", 0)
//
//	script, err := sandbox.ParseScript("genins 0 600 hang p=0.5;exec=0.5")
//	run, err := sb.Apply(script)                        // starts now
//	sb.State().Effects["genins.answered"]               // what was really executed
//
// With Config.Listen it opens sockets: HTTPS for the services behind the ESB, for the direct path of the insurers and
// for the service list, and plain HTTP on loopback for the admin API. WriteEnvironment then writes everything a
// client needs into a directory.
//
// The sandbox shares wire formats with the clients of this module but none of their request or response types, so it
// cannot agree with their mistakes. What it checks and which faults it answers is in dossier 01 A.13 and 05 section 8.
// Its people, patients and keys are synthetic and must never be used elsewhere.
//
// # Certificates
//
// One root and one issuing CA (both in CA and ca.pem) stand above people, organisations, the STS signer
// ("CBE=0809394427, IAMSBX") and the signer of service lists ("CBE=0809394427, SERVICELIST"). TLS servers and identity
// cards have CAs of their own below the same root. Everything is valid from a day before Config.Epoch to five years
// after. Expired and Foreign make certificates that must be refused.
//
// Everybody has encryption keys, whose certificates the own authentication key issued, and a token in the ETK depot, signed
// by a registration authority below the issuing CA. RotateKey renews a key, Seal seals as somebody.
//
// # Mail
//
// Every person and organisation has an eHealthBox (Person.Mailbox). A publication is accepted, and processed a second later;
// then its recipients have it, or the sender has an ERROR message. State().Effects counts "ehbox.accepted",
// "ehbox.send" once a letter, "ehbox.copy" once a box, "ehbox.duplicate" what was refused with 702, and "ehbox.double" letters
// that were delivered once more. SetMail changes what the published facts leave open, and makes answers odd;
// DeliverMail, Mail, SetQuota and SetAbsence act on boxes without a client.
//
// # Prescriptions
//
// Recip-e has three services, prescriber, executor and patient, at the ESB and at the alternate host, over one set of
// prescriptions. In scripts the first and the last are recipe-presc, the second is recipe-exec, and all at the alternate host
// are recipe-direct. Citizen gives a patient the keys with which he logs in. Prescriptions, Prescription and RecipeNotes tell
// what Recip-e knows, SetRecipe and SetRecipeValidation change what the published facts leave open, ResetRecipe empties it.
// State().Effects counts "recipe.created", "recipe.inprocess", "recipe.delivered", "recipe.archived", "recipe.undelivered",
// "recipe.revoked", and "recipe.repeated" for writes whose Id was executed before.
//
// # Faults
//
// A script is a list of steps; Script.String and ParseScripts give the text form, Apply and Inject run it. The
// catalogue of past incidents is package sandbox/incident. Steps overlap; on one exchange they act in this order:
//
//  1. clock: all add up.
//  2. refuse, blackhole, loss: in the order of the rows, the first that fires ends it. A lost exchange is cut before
//     it is executed or, as often, after.
//  3. capacity, ramp: every one must let the exchange in. The longest wait counts; what waits is executed in its turn even
//     when its client has left.
//  4. hang, http, fault: in the order of the rows, the first that fires decides on the answer.
//  5. slow: those that fire add up, and delay faults and HTTP answers too. Execution comes first, then the latency
//     (late=1: the other way round).
//  6. lost_ack, misroute. A lost answer wins. misroute swaps with the oldest answer in flight of the same service that
//     belongs to another asker; when there is none it sends the latest former answer given to another asker, and
//     when there is none either, nothing is wrong with the answer.
//
// refuse_auth acts when the service has found out who calls. key_rotate moves the token of a central service to another
// number, with another key that the service takes lag_s later, for as long as the step lasts. poison puts messages that
// cannot be read into every box that its owner looks into. list changes the published list, tls_rotate the server
// certificate at the next handshake, for good. A hang ends, with the connection cut, when the client gives up, the step
// ends or ten minutes have passed.
//
// Draws come from Config.Seed: where exchanges arrive one after the other, a script does the same thing every time.
//
// Connection-level faults (refuse, blackhole, loss) are exact on pipes, where each service has a host of its own:
// Dial fails or blocks. On sockets a step that covers all services of a listener acts when a connection is accepted
// (refuse: RST; blackhole: TCP connects, TLS never starts); a step on one service of several acts at the head of each
// of its requests, by RST or by silence, because before that nobody knows which service is meant. Idle connections
// are cut when a refuse step without p starts.
//
// The services of Recip-e have five kinds of their own, which are not in the dossier's grammar: inner and outer failures,
// corrupt and missing answers, and lag, which keeps young prescriptions out of lists (InnerStatus, OuterStatus, CorruptAnswer,
// MissingAnswer, ListLag). The first of the first four that fires decides, when the service knows who calls and what for.
// key_rotate may stand on them as on etk.
//
// Two parameters are not in the dossier's grammar: max=N, on every kind, limits how many exchanges or connections a step
// hits; late=1 on slow. Kind clock (skew_s) shifts the clock of a service, and defect= on list publishes wrong lists.
//
// # Admin API
//
// Plain HTTP at AdminURL, JSON answers, {"error": "…"} with status 4xx when refused. Loopback only; requests that
// a web page sent are refused.
//
//	GET    /admin/faults        {"faults":[{"run","script","row","from","to","active","hits"}],"unsupported":[row,…]}
//	POST   /admin/faults        a script in text form (text/plain), or application/json, one of
//	                              {"id":"x","steps":[{"service":"genins","at":0,"for":600,"kind":"hang","params":"p=0.5"}]}
//	                              {"script":"genins 0 600 hang p=0.5"}
//	                              {"incident":"INC-2018-06-12-LB","offset":5400}
//	                            starts it now, or offset seconds into it; 201 {"id":"f1","script","steps","unsupported":[row,…]}
//	DELETE /admin/faults        ends all; DELETE /admin/faults/f1 ends one; 204
//	GET    /admin/state         {"now","requests":{service:n},"endpoints":{service:{path:n}},"effects":{name:n},
//	                             "counters":{name:n},"hits":{service:{kind:n}},"faults":[…],"unsupported":[…],
//	                             "list":{"set","defect"}}
//	POST   /admin/list          {"set":"genins=1:ACTIVE","defect":"bad_signature"}; both may be empty: the list at rest
//	GET    /admin/mail/doctor-1?folder=INBOX
//	                            {"folder","size","maxSize","standBy","messages":[{"id","kind","title",…}]}, newest first; whose
//	                            box it is is said by the name of the key store without .p12; looking has no effect
//	POST   /admin/mail/doctor-1 {"from":"labo-1","title":"Result","text":"…","patient":"…","plain":false}: a message, sealed unless
//	                            plain, delivered at once; 201 {"id"}
//	PUT    /admin/mail/doctor-1/quota {"maxSize":0}; 204
//	POST   /admin/keys/doctor-1 a new encryption key, as after a renewal; 204
//	GET    /admin/prescriptions?status=NotDelivered&clear=1
//	                            {"prescriptions":[{"n","type","status","created","expires","deliveries","vision","events":[{"status",
//	                            "at","by"}]}],"notes":n}; by is prescriber, pharmacy, patient or expiry. Only clear=1 shows RIDs,
//	                            numbers of people and pharmacies, and the requests that did it
//	DELETE /admin/prescriptions forgets prescriptions, relations, reservations and notes; 204
//	GET    /admin/recipe        {"pageSize","listLag","archiveEarly","pagesFromZero"}; listLag in seconds
//	PUT    /admin/recipe        the same; what is absent becomes the default; 204
//	DELETE /admin/state         sets the counters to zero; 204
//
// # Failing
//
// New fails when an address is taken or Config makes no sense. Scripts are refused with a *ScriptError that says where;
// steps that need a service the sandbox does not have are returned in an *UnsupportedError and listed by the admin API,
// while the others run.
package sandbox
