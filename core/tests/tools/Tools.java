import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Kafka's command line tools one after the other in one JVM, which saves the start of one for each. A line of
 * standard input is a class and its arguments, separated by tabs; the answer is the exit code, the length of what was printed, and that.
 *
 * A tool ends where it first wants to exit: some catch what is thrown there, print that and want to exit again.
 */
public class Tools {
    private static ByteArrayOutputStream printed;
    private static Integer code;
    private static int length;

    public static void main(String[] arguments) throws Exception {
        DataOutputStream answers = new DataOutputStream(System.out);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Exit.setExitProcedure((exitCode, message) -> {
            if (message != null) {
                System.err.println(message);
            }
            end(exitCode);
            throw new Error("the tool exits");
        });
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            printed = new ByteArrayOutputStream();
            code = null;
            PrintStream stream = new PrintStream(printed, true, StandardCharsets.UTF_8);
            System.setOut(stream);
            System.setErr(stream);
            run(words[0], Arrays.copyOfRange(words, 1, words.length));
            answers.writeInt(code);
            answers.writeInt(length);
            answers.write(printed.toByteArray(), 0, length);
            answers.flush();
        }
    }

    private static void end(int exitCode) {
        if (code == null) {
            code = exitCode;
            length = printed.size();
        }
    }

    private static void run(String tool, String[] arguments) throws Exception {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            end(0);
        } catch (InvocationTargetException failed) {
            if (code == null) {
                failed.getCause().printStackTrace();
            }
            end(1);
        }
    }
}
