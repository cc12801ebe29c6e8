package drill

import "github.com/ehealth-continuity/ehealth/internal/appclient"

// ServiceApp is the UDDI id of the sandbox's generic stateful application.
const ServiceApp = appclient.Service

const nsApp = appclient.NS

// App is a client of the application that the sandbox offers for trying writes; see package appclient.
type App = appclient.App

// NewApp returns a client of the application; its messages are secured by a token (holder-of-key).
var NewApp = appclient.New

// putBody is the PutRequest; every kind of client sends the same.
var putBody = appclient.PutBody
