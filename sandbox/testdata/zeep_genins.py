"""A client that shares no code with this module: zeep for SOAP, xmlsec for signatures.

Usage: zeep_genins.py JOB.json, where the job names addresses, files and the asking doctor.
It gets a token from the STS (WS-Trust, direct path), asks GenIns, and prints one JSON object
with what it understood.
"""

import base64
import copy
import datetime
import json
import sys
import uuid

import requests
import xmlsec
import zeep
import zeep.transports
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
SAML = "urn:oasis:names:tc:SAML:1.0:assertion"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
AUTH = "http://docs.oasis-open.org/wsfed/authorization/200706"
TOKEN_TYPE = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"
X509_TYPE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
BASE64_TYPE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
ASSERTION_ID = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID"


def stamp(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")  # whole seconds, unlike Go


class Signer:
    """The wsse plug-in that zeep calls for each message."""

    def __init__(self, job, assertion=None, tamper=None):
        self.job, self.assertion, self.tamper = job, assertion, tamper

    def apply(self, envelope, headers):
        self.secure(envelope)
        if self.tamper:
            self.tamper(envelope)
        return envelope, headers

    def verify(self, envelope):
        return envelope

    def secure(self, envelope):
        header = envelope.find("{%s}Header" % SOAP)
        if header is None:
            header = etree.Element("{%s}Header" % SOAP)
            envelope.insert(0, header)
        security = etree.SubElement(header, "{%s}Security" % WSSE, nsmap={"wsse": WSSE, "wsu": WSU})
        security.set("{%s}mustUnderstand" % SOAP, "1")
        body = envelope.find("{%s}Body" % SOAP)
        now = datetime.datetime.now(datetime.timezone.utc)
        timestamp = etree.SubElement(security, "{%s}Timestamp" % WSU)
        etree.SubElement(timestamp, "{%s}Created" % WSU).text = stamp(now)
        etree.SubElement(timestamp, "{%s}Expires" % WSU).text = stamp(now + datetime.timedelta(minutes=1))
        parts = [body, timestamp]
        if self.assertion is not None:
            security.append(copy.deepcopy(self.assertion))
        else:
            token = etree.SubElement(security, "{%s}BinarySecurityToken" % WSSE, EncodingType=BASE64_TYPE, ValueType=X509_TYPE)
            token.text = self.job["cert64"]
            parts.append(token)
        for part in parts:
            part.set("{%s}Id" % WSU, "id-" + str(uuid.uuid4()))
        self.sign(security, parts)

    def sign(self, security, parts):
        signature = xmlsec.template.create(security, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns="ds")
        security.append(signature)
        for part in parts:
            ref = xmlsec.template.add_reference(
                signature, xmlsec.Transform.SHA256, uri="#" + part.get("{%s}Id" % WSU))
            xmlsec.template.add_transform(ref, xmlsec.Transform.EXCL_C14N)
        info = xmlsec.template.ensure_key_info(signature)
        str_ = etree.SubElement(info, "{%s}SecurityTokenReference" % WSSE)
        if self.assertion is not None:
            str_.set("{%s}TokenType" % WSSE11, TOKEN_TYPE)
            ident = etree.SubElement(str_, "{%s}KeyIdentifier" % WSSE, ValueType=ASSERTION_ID)
            ident.text = self.assertion.get("AssertionID")
        else:
            etree.SubElement(
                str_, "{%s}Reference" % WSSE, URI="#" + parts[-1].get("{%s}Id" % WSU), ValueType=X509_TYPE)
        ctx = xmlsec.SignatureContext()
        ctx.key = xmlsec.Key.from_file(self.job["key"], xmlsec.KeyFormat.PEM)
        for part in parts:
            ctx.register_id(part, "Id", WSU)
        ctx.sign(signature)


def token(job, session):
    """One WS-Trust Issue; identification and holder-of-key certificate are the same, so no challenge comes."""
    now = datetime.datetime.now(datetime.timezone.utc)
    envelope = etree.Element("{%s}Envelope" % SOAP, nsmap={"S": SOAP})
    body = etree.SubElement(envelope, "{%s}Body" % SOAP)
    rst = etree.SubElement(
        body, "{%s}RequestSecurityToken" % WST, Context="context-" + str(uuid.uuid4()), nsmap={"wst": WST, "auth": AUTH})
    etree.SubElement(rst, "{%s}TokenType" % WST).text = TOKEN_TYPE
    etree.SubElement(rst, "{%s}RequestType" % WST).text = WST + "/Issue"
    claims = etree.SubElement(rst, "{%s}Claims" % WST, Dialect=AUTH + "/authclaims")
    for name, value in job["claims"]:
        claim = etree.SubElement(claims, "{%s}ClaimType" % AUTH, Uri=name)
        if value:
            etree.SubElement(claim, "{%s}Value" % AUTH).text = value
    life = etree.SubElement(rst, "{%s}Lifetime" % WST)
    etree.SubElement(life, "{%s}Created" % WSU).text = stamp(now)
    etree.SubElement(life, "{%s}Expires" % WSU).text = stamp(now + datetime.timedelta(hours=1))
    etree.SubElement(rst, "{%s}KeyType" % WST).text = "http://docs.oasis-open.org/ws-sx/wstrust/200512/PublicKey"
    use = etree.SubElement(rst, "{%s}UseKey" % WST)
    data = etree.SubElement(etree.SubElement(use, "{%s}SecurityTokenReference" % WSSE), "{%s}X509Data" % DS)
    etree.SubElement(data, "{%s}X509Certificate" % DS).text = job["cert64"]
    Signer(job).secure(envelope)
    answer = session.post(
        job["sts"], data=etree.tostring(envelope),
        headers={"Content-Type": "text/xml; charset=utf-8",
                 "SOAPAction": '"urn:be:fgov:ehealth:sts:protocol:v1:RequestSecurityToken"'})
    if answer.status_code != 200:
        raise SystemExit("STS answered %d: %s" % (answer.status_code, answer.text))
    assertion = etree.fromstring(answer.content).find(".//{%s}Assertion" % SAML)
    verify(job, assertion)
    return assertion


def verify(job, assertion):
    """xmlsec judges the STS's signature, with the certificate that Go handed over."""
    root = etree.fromstring(etree.tostring(assertion))
    ctx = xmlsec.SignatureContext()
    ctx.key = xmlsec.Key.from_file(job["signer"], xmlsec.KeyFormat.CERT_PEM)
    ctx.register_id(root, "AssertionID")
    ctx.verify(root.find("{%s}Signature" % DS))


def ask(job, session, assertion, inss, tamper=None):
    # zeep's strict mode cannot read a choice of sequences (it fails on every answer that the schema allows here);
    # the Go side validates answers with xmllint.
    client = zeep.Client(
        job["wsdl"], settings=zeep.Settings(strict=False), wsse=Signer(job, assertion, tamper), transport=zeep.transports.Transport(session=session))
    service = client.create_service(
        "{urn:be:fgov:ehealth:genericinsurability:protocol:v1}GenericInsurabilitySoapBinding", job["genins"])
    nihii = {"Quality": "doctor", "Value": job["nihii"]}
    today = datetime.date.fromisoformat(job["today"])
    answer = service.getInsurability(
        CommonInput={
            "Request": {"IsTest": False},
            "Origin": {
                "Package": {"Name": "zeep", "License": {"Username": "u", "Password": "p"}},
                "CareProvider": {
                    "Nihii": nihii,
                    "PhysicalPerson": {"Name": job["name"], "Nihii": nihii, "Ssin": job["ssin"]},
                },
            },
            "InputReference": "20300115103000",
        },
        RecordCommonInput={"InputReference": 20300115103001},
        Request={
            "CareReceiverId": {"Inss": inss},
            "InsurabilityRequestDetail": {
                "InsurabilityRequestType": "information",
                "Period": {"PeriodStart": today, "PeriodEnd": today},
                "InsurabilityContactType": "ambulatory_care",
                "InsurabilityReference": "ZEEP-1",
            },
        },
    )
    return zeep.helpers.serialize_object(answer, dict)


def change_patient(envelope):
    for e in envelope.iter("{*}Inss"):
        e.text = "15073199817"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    with open(job["cert"], encoding="ascii") as f:
        job["cert64"] = "".join(line.strip() for line in f if "CERTIFICATE" not in line)
    base64.b64decode(job["cert64"], validate=True)
    session = requests.Session()
    session.verify = job["ca"]
    session.trust_env = False
    assertion = token(job, session)
    good = ask(job, session, assertion, job["patient"])
    wrong = ask(job, session, assertion, "85073199705")
    try:
        ask(job, session, assertion, job["patient"], change_patient)
        fault = ""
    except zeep.exceptions.Fault as e:
        fault = e.message + " " + "".join(e.detail.itertext())
    response = good["Response"]
    item = response["InsurabilityResponseDetail"]["InsurabilityList"]["InsurabilityItem"][0]
    print(json.dumps({
        "status": good["Status"]["Code"],
        "reference": good["CommonOutput"]["InputReference"],
        "record": str(good["RecordCommonOutput"]["InputReference"]),
        "echo": response["InsurabilityRequestDetail"]["InsurabilityReference"],
        "inss": response["CareReceiverDetail"]["Inss"],
        "ct1": item["CT1"],
        "mutuality": item["Mutuality"],
        "start": item["Period"]["PeriodStart"].isoformat(),
        "wrong": wrong["Response"]["MessageFault"]["Details"]["Detail"][0]["DetailCode"],
        "fault": fault,
    }))


if __name__ == "__main__":
    main()
