import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.xpath.XPath;
import javax.xml.xpath.XPathEvaluationResult;
import javax.xml.xpath.XPathExpression;
import javax.xml.xpath.XPathFactory;
import javax.xml.xpath.XPathNodes;
import org.w3c.dom.Document;
import org.w3c.dom.Node;

/**
 * Reads expressions (lines "E base64", all taken back by a line "C") and documents (lines "D base64"), and prints one line for
 * each document and each expression before it: B, N or S and the value, X and the values of the nodes, or ERR. Documents are read without namespaces, as the
 * platform's module does.
 */
public class XPathJudge {
    public static void main(String[] args) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(false);
        factory.setCoalescing(true);
        XPath xpath = XPathFactory.newInstance().newXPath();
        List<XPathExpression> expressions = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        StringBuilder out = new StringBuilder();
        for (String line; (line = in.readLine()) != null;) {
            if (line.equals("C")) {
                expressions.clear();
                continue;
            }
            byte[] data = Base64.getDecoder().decode(line.substring(2));
            if (line.charAt(0) == 'E') {
                expressions.add(compile(xpath, new String(data, StandardCharsets.UTF_8)));
                continue;
            }
            Document doc = factory.newDocumentBuilder().parse(new ByteArrayInputStream(data));
            for (XPathExpression e : expressions) {
                out.append(answer(e, doc)).append('\n');
            }
        }
        System.out.print(out);
    }

    static XPathExpression compile(XPath xpath, String source) {
        try {
            return xpath.compile(source);
        } catch (Exception e) {
            return null;
        }
    }

    static String answer(XPathExpression e, Document doc) {
        if (e == null) {
            return "ERR";
        }
        try {
            XPathEvaluationResult<?> r = e.evaluateExpression(doc);
            switch (r.type()) {
                case BOOLEAN:
                    return "B " + r.value();
                case NUMBER:
                    return "N " + ((Number) r.value()).doubleValue();
                case STRING:
                    return "S " + encode((String) r.value());
                default:
                    StringBuilder b = new StringBuilder("X");
                    for (Node n : (XPathNodes) r.value()) {
                        String text = n.getNodeType() == Node.DOCUMENT_NODE ? ((Document) n).getDocumentElement().getTextContent() : n.getTextContent();
                        b.append(' ').append(encode(text));
                    }
                    return b.toString();
            }
        } catch (Exception ex) {
            return "ERR";
        }
    }

    static String encode(String s) {
        return "=" + Base64.getEncoder().encodeToString(s.getBytes(StandardCharsets.UTF_8));
    }
}
