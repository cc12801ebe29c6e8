package sandbox

// routes is every service of the sandbox with its addresses (dossier 01 A.1 and D.4, dossier 05 1.1 and 2.1). The
// handlers of one call share their state (challenges given out, signatures seen), so a sandbox calls it once.
//
// The pharmacist service is insurability too: in fault scripts the names genins and genins-direct mean both
// (dossier 06 A.4.1 knows no other name for it).
func routes() []route {
	const uddi = "uddi:ehealth-fgov-be:business:"
	v := newServices()
	return append([]route{
		{
			Service: "sts", Path: "/IAM/SecurityTokenService/v1", UDDI: uddi + "iamsecuritytokenservice:v1",
			Name: "IAM SecurityTokenService", Handle: v.trust,
		},
		{
			Service: "sts", Path: "/IAM/Saml11TokenService/v1", UDDI: uddi + "iamsaml11tokenservice:v1",
			Name: "IAM Saml11TokenService", Handle: v.samlp,
		},
		{Service: "sts", Path: "/IAM/Saml11TokenService/Legacy/v1", Handle: v.samlp},
		{
			Service: "genins", Path: "/GenericInsurability/v1", UDDI: uddi + "genericinsurability:v1",
			Name: "GenericInsurability", Handle: v.genins,
		},
		{
			Service: "genins-direct", Path: "/ehealth/bcp/genericinsurability/v1", Direct: true, Order: 1,
			UDDI: uddi + "genericinsurability:v1", Name: "GenericInsurability", Handle: v.genins,
		},
		{
			Service: "genins", Path: "/Insurability/v2", UDDI: uddi + "insurability:v2",
			Name: "Insurability", Handle: v.pharma,
		},
		{
			Service: "genins-direct", Path: "/ehealth/bcp/insurability", Direct: true, Order: 1,
			UDDI: uddi + "insurability:v2", Name: "Insurability", Handle: v.pharma,
		},
		{Service: "etk", Path: pathETK, UDDI: uddiETK, Name: "ETEE ETKDEPOT", Handle: v.getEtk},
		{Service: "kgss", Path: pathKGSS, UDDI: uddiKGSS, Name: "ETEE KGSS", Handle: v.kgss},
		{Service: "ehbox-cons", Path: pathMailRead, UDDI: uddiMailRead, Unlisted: true, Handle: v.consultMail},
		{Service: "ehbox-pub", Path: pathMailSend, UDDI: uddiMailSend, Unlisted: true, Handle: v.sendMessage},
		appRoute(0), appRoute(1),
		v.memberRoute(0), v.memberRoute(1),
	}, recipeRoutes(v)...)
}
