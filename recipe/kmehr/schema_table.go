package kmehr

// schemaTable is the part of the KMEHR 1.28 schema that a prescription can reach, one complex type a line:
//
//	type [attributes] = children
//
// An attribute is a name, with ! behind it when it is required, then the values it may have or : and its simple type. A child is
// name:type with ?, * or + behind the name; groups are in parentheses, alternatives have | between them. A simple type alone is
// the content of the element itself. What is of type any is not looked into: no prescription needs it.
const schemaTable = `
message = confidentiality?:any header:header ( ( folder+:folder Signature?:any ) | EncryptedData:any | Base64EncryptedData:any )
header = confidentiality?:any standard:standard id+:idkmehr date:date time:time sender:parties recipient+:recipient urgency?:urgency acknowledgment?:any text*:text lnk*:lnk expirationdate?:date externalsource?:externalsource
standard = cd:cdstandard specialisation?:any
externalsource = source+:source
source = cd+:cdexternalsource datetime?:datetime version?:string proof?:string
parties = hcparty+:hcparty
recipient = hcparty+:hcparty dummyFriend?:string
hcparty = id*:idhcparty cd+:cdhcparty ( name:string | ( firstname:string familyname:string ) )? address*:address telecom*:telecom
address = id*:idkmehr cd+:cdaddress country?:country zip?:string nis?:string city?:string district?:string street?:string housenumber?:string postboxnumber?:string text*:text
country = cd:cdcountry
telecom = id*:idkmehr cd:cdtelecom cd?:cdtelecom telecomnumber:string
folder = confidentiality?:any id+:idkmehr patient:person transaction+:transaction text*:text lnk*:lnk
person = id+:idpatient firstname+:string familyname:string birthdate?:partdate birthlocation?:any deathdate?:partdate deathlocation?:any sex:sex nationality?:country address*:address telecom*:telecom usuallanguage?:language profession?:any insurancystatus?:any insurancymembership?:any recorddatetime?:datetime text*:text civilstate?:any
partdate = ( year:year | yearmonth:yearmonth | ( date:date time?:time ) )
sex = cd:cdsex
transaction = confidentiality?:any id+:idkmehr cd+:cdtransaction date:date time:time author:parties redactor?:parties iscomplete:boolean isvalidated:boolean expirationdate?:date ( heading:heading | item:item | text:text | text-with-layout:any | lnk:lnk )* recorddatetime?:datetime version?:string
heading = confidentiality?:any id+:idkmehr cd+:cdheading ( heading:heading | item:item | text:text | lnk:lnk )+
item = confidentiality?:any id+:idkmehr cd+:cditem content*:content text*:text author?:parties beginmoment?:moment endmoment?:moment iscomplete?:boolean isvalidated?:boolean lifecycle?:lifecycle isrelevant?:boolean severity?:any certainty?:any temporality?:temporality urgency?:urgency quantity?:quantity strength?:strength frequency?:frequency site*:any cost?:strength dayperiod*:dayperiod duration?:duration posology?:posology regimen?:regimen deliverydate?:dtdate renewal?:renewal route?:route batch?:string instructionforoverdosing?:text instructionforpatient?:text instructionforreimbursement?:text issubstitutionallowed?:boolean feedback?:feedback local*:any recorddatetime?:datetime lnk*:lnk
content = ( id+:idkmehr | cd+:cdcontent | decimal:decimal | unsignedInt:unsigned | boolean:boolean | text+:text | year:year | yearmonth:yearmonth | ( date:date time?:time ) | time:time | hcparty:hcparty | person:person | insurance:any | incapacity:any | error:any | medicinalproduct:medicinalproduct | substanceproduct:substanceproduct | compoundprescription:compoundprescription | medication:any | holter:any | ecg:text | bacteriology:text | lnk+:lnk | location:any )? unit?:unit minref?:any maxref?:any refscope*:any
medicinalproduct = intendedcd+:cddrug deliveredcd*:cddrug intendedname:string deliveredname?:string
substanceproduct = intendedcd:cdgroup deliveredcd?:cddrug intendedname:string deliveredname?:string
compoundprescription mixed [L:language] = ( ( compound+:compound | formularyreference:formularyreference | magistraltext:text ) galenicform?:galenicform quantity?:quantity )?
compound = id*:idkmehr ( medicinalproduct:medicinalproduct | substance:substance ) quantityprefix?:quantityprefix quantity?:quantity
substance = ( cd:cdsubstance | substancename:string )
quantityprefix = cd:cdquantityprefix
formularyreference = ( cd+:cdformulary | formularyname:string )
galenicform = cd?:cdgalenicform galenicformtext?:text
moment = ( year:year | yearmonth:yearmonth | ( date:date time?:time ) | text:text )
lifecycle = cd:cdlifecycle
temporality = cd:cdtemporality
urgency = cd:cdurgency
quantity = decimal:decimal unit?:unit
strength = decimal:decimal unit:unit
unit = cd:cdunit
frequency = ( ( nominator:timequantities denominator:timequantities ) | ( decimal:decimal unit:unit ) | text:text | periodicity:periodicity )
timequantities = quantity:timequantity
timequantity = decimal:decimal unit?:timeunit
timeunit = cd:cdtimeunit
periodicity = cd:cdperiodicity
dayperiod = cd:cddayperiod
duration = decimal:decimal unit:timeunit
posology = ( ( low?:decimal high:decimal unit:administrationunit takes:takes ) | text:text )
takes = low?:decimal high:decimal
administrationunit = cd:cdadministrationunit
regimen = ( ( daynumber:positive | date:dtdate | weekday:weekday )? daytime?:daytime quantity:administration )+
weekday = cd:cdweekday weeknumber?:positive
daytime = ( time:dttime | dayperiod:dayperiod )
administration = decimal:decimal unit?:administrationunit
renewal = ( ( decimal:decimal duration?:duration ) | text:text )
route = cd:cdroute
feedback = reportrequested:boolean text?:text
text [L!:language] = string
lnk [TYPE!isachildof|isaconsequenceof|isanewversionof|isareplyto|multimedia|thumbnail|isanappendixof|isaservicefor|isrealisationof|isapproachfor|isplannedfor|isattestationof MEDIATYPE:mediatypes URL SIZE] = base64
idkmehr [S!ID-KMEHR|ID-IBAN|ID-SERIALNO|LOCAL|ID-CBE SV! SL] = string
idhcparty [S!ID-HCPARTY|INSS|LOCAL|ID-ENCRYPTION-APPLICATION|ID-ENCRYPTION-ACTOR|ID-ENCRYPTION-KEY|ID-INSURANCE|ID-CBE|ID-EHP SV! SL] = string
idpatient [S!ID-PATIENT|INSS|EID-CARDNO|SIS-CARDNO|ISI-CARDNO|LOCAL SV! SL] = string
cdstandard [S!CD-STANDARD SV! DN L:language] = standards
cdhcparty [S!CD-HCPARTY|CD-APPLICATION|CD-ENCRYPTION-ACTOR|CD-ROLE|LOCAL SV! DN L:language SL] = string
cdaddress [S!CD-ADDRESS|LOCAL SV! SL DN L:language] = string
cdcountry [S!CD-COUNTRY|CD-FED-COUNTRY SV! DN SL L:language] = string
cdtelecom [S!CD-ADDRESS|CD-TELECOM SV! DN L:language] = string
cdtransaction [S!CD-TRANSACTION|CD-TRANSACTION-CARENET|CD-TRANSACTION-MAA|CD-CHAPTER4APPENDIX|CD-TRANSACTION-REG|CD-TRANSACTION-MYCARENET|CD-TRANSACTION-TYPE|CD-HUBSERVICE|CD-DIARY|LOCAL SV! SL DN L:language] = string
cdheading [S!CD-HEADING|CD-HEADING-LAB|CD-SITE|LOCAL|CD-HEADING-REG SV! SL DN L:language] = string
cditem [S!CD-ITEM|CD-ITEM-MAA|CD-ITEM-CARENET|CD-LAB|CD-TECHNICAL|CD-CONTACT-PERSON|ICD|ICPC|LOCAL|CD-VACCINE|CD-ECG|CD-ECARE-CLINICAL|CD-ECARE-LAB|CD-ECARE-HAQ|CD-ITEM-EBIRTH|CD-PARAMETER|CD-ITEM-BVT|CD-BVT-AVAILABLEMATERIALS|CD-BVT-CONSERVATIONDELAY|CD-BVT-CONSERVATIONMODE|CD-BVT-SAMPLETYPE|CD-BCR-DIFFERENTATIONDEGREE|CD-BVT-LATERALITY|CD-BVT-PATIENTOPPOSITION|CD-BVT-STATUS|CD-ITEM-REG|CD-ITEM-MYCARENET|CD-DEFIB-DIAGNOSIS|CD-ACTS-NURSING|CD-QERMID-INTERVENTIONTYPE SV! DN SL L:language nullFlavor] = string
cdcontent [S! SV! SL DN L:language nullFlavor] = string
cddrug [S!CD-DRUG-CNK|CD-CNK-CLUSTER|CD-AMP SV! DN L:language] = string
cdgroup [S!CD-INNCLUSTER|CD-VMPGROUP SV! DN L:language] = string
cdformulary [S!CD-FORMULARY|CD-FORMULARYREFERENCE SV! DN L:language] = string
cdgalenicform [S!CD-DRUG-PRESENTATION|CD-MAGISTRALFORM SV! DN L:language] = string
cdunit [S!CD-UNIT|CD-CURRENCY|UCUM|CD-TIMEUNIT SV! DN L:language] = string
cdquantityprefix [S!CD-QUANTITYPREFIX SV! DN L:language] = quantityprefixes
cdsubstance [S!CD-INNCLUSTER|CD-ATC|CD-EAN|CD-SUBSTANCE-CNK SV! DN L:language] = string
cdlifecycle [S!CD-LIFECYCLE SV! DN L:language] = lifecycles
cdtemporality [S!CD-TEMPORALITY SV! DN L:language] = temporalities
cdurgency [S!CD-URGENCY SV! DN L:language] = urgencies
cdtimeunit [S!CD-TIMEUNIT|LOCAL SV! SL DN L:language] = string
cdperiodicity [S!CD-PERIODICITY SV! DN L:language] = string
cddayperiod [S!CD-DAYPERIOD SV! DN L:language] = dayperiods
cdadministrationunit [S!CD-ADMINISTRATIONUNIT SV! DN L:language] = administrationunits
cdweekday [S!CD-WEEKDAY SV!] = weekdays
cdroute [S!CD-DRUG-ROUTE SV! DN L:language] = string
cdexternalsource [S!CD-EXTERNALSOURCE|LOCAL SV! SL DN L:language] = string
cdsex [S!CD-SEX SV! DN L:language] = sexes
`

// closedSets are the code tables that the schema closes.
var closedSets = map[string]string{
	"standards": "20010424 20021205 20030909 20090101 20100601 20100901 20110701 20120401 20120701 20121001 20130701 20131001 " +
		"20140401 20140701 20141001 20141201 20150301 20150601 20150901 20151201 20160301 20160601 20160901 20161201 " +
		"20170301 20170601 20170901 20171201 20180301 20180601 20180901 20181201 20190301",
	"mediatypes": "application/msword application/pdf audio/basic audio/k32adpcm audio/mp3 image/g3fax image/gif image/jpeg " +
		"image/png image/tiff model/vrml multipart/x-hl7-cda-level1 text/html text/plain text/rtf text/sgml " +
		"text/x-hl7-ft text/xml video/mpeg video/x-avi kmb/transaction image/dicom application/hl7-sda+xml",
	"sexes":            "changed female male unknown undefined",
	"quantityprefixes": "ana anaad ad qs",
	"temporalities":    "oneshot acute chronic reactivation remission subacute",
	"urgencies":        "asap hour 4hours 12hours day week month",
	"weekdays":         "sunday monday tuesday wednesday thursday friday saturday",
	"lifecycles": "aborted active added administrated cancelled completed corrected delivered substituted inactive planned " +
		"prescribed reported refused switched suspended stopped excluded notpresent ordered scheduled todo postponed pending " +
		"expected obtained proposed retracted",
	"dayperiods": "afterbreakfast afterdinner afterlunch aftermeal afternoon beforebreakfast beforedinner beforelunch " +
		"betweenbreakfastandlunch betweendinnerandsleep betweenlunchanddinner betweenmeals evening morning night " +
		"thehourofsleep duringbreakfast duringlunch duringdinner",
	"administrationunits": "00001 00002 00003 00004 00005 00006 00007 00008 00009 00010 00011 00012 00013 00014 00015 00016 " +
		"00017 00018 00019 00020 00021 00022 00023 00024 00025 00026 00027 00028 00029 00030 cm dropsperminute gm " +
		"internationalunits mck/h mck/kg/minute measure mg/h ml/h tbl tsp unt/h mg mg/ml",
}
