// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.demo;

import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.OutputTarget;
import dev.gradclip.cli.shell.Printable;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.demo.DemoResult;
import dev.gradclip.measure.Png;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;

/**
 * The two files of {@code gradclip demo}, judged before any work is done. A name as plain as demo.json may be
 * somebody's, so only a file that is marked as a demo's is replaced.
 *
 * @param png where the curves go
 * @param json where the figures go
 */
record DemoFiles(OutputTarget png, OutputTarget json) {
    static final String WRITER = "gradclip demo";
    private static final String JSON_MARK = "{\"written_by\":\"" + WRITER + "\"";

    /** A chunk that keeps its text as it is, under a key that PNG defines. */
    private static final String PNG_MARK = "tEXtSoftware\0" + WRITER;

    /** Signature and header, which come first in every PNG file. */
    private static final int PNG_HEAD = 33;

    /** @throws BadFileException if one is there that no demo wrote, or can't be written */
    static DemoFiles of(Path png, Path json, boolean force) throws IOException {
        DemoFiles files = new DemoFiles(OutputTarget.of(png), OutputTarget.of(json));
        if (files.png
                .path()
                .toAbsolutePath()
                .normalize()
                .equals(files.json.path().toAbsolutePath().normalize())) {
            throw new BadFileException(png + ": --png and --json are the same file");
        }
        if (!force) {
            require(files.png, PNG_HEAD + 4, PNG_MARK, "--png");
            require(files.json, 0, JSON_MARK, "--json");
        }
        return files;
    }

    private static void require(OutputTarget target, int at, String mark, String option) throws IOException {
        if (!Files.exists(target.path())) return;
        try (InputStream in = Files.newInputStream(target.path())) {
            in.skipNBytes(Math.min(at, Files.size(target.path())));
            String found = new String(in.readNBytes(mark.length()), StandardCharsets.ISO_8859_1);
            if (found.equals(mark)) return;
        }
        throw new BadFileException(target.path() + ": is there, and not by " + WRITER + "; " + option
                + " FILE writes elsewhere, --force replaces it");
    }

    void write(DemoResult result, Terminal terminal) throws IOException {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        DemoJson.write(result, text);
        write(json, text.toByteArray(), terminal);
        byte[] picture = Png.besideEachOther(() -> DemoChart.charts(result));
        if (picture == null) terminal.err().println("gradclip: " + shown(png) + " is not written: " + Png.REMEDY);
        else write(png, marked(picture), terminal);
    }

    private static void write(OutputTarget target, byte[] bytes, Terminal terminal) throws IOException {
        AtomicOutput.write(target, bytes);
        terminal.out().println("written: " + shown(target));
    }

    private static String shown(OutputTarget target) {
        return Printable.escaped(target.path().toString());
    }

    private static byte[] marked(byte[] png) throws IOException {
        byte[] mark = PNG_MARK.getBytes(StandardCharsets.ISO_8859_1);
        CRC32 sum = new CRC32();
        sum.update(mark);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.write(png, 0, PNG_HEAD);
            // The length leaves out the chunk's type.
            out.writeInt(mark.length - 4);
            out.write(mark);
            out.writeInt((int) sum.getValue());
            out.write(png, PNG_HEAD, png.length - PNG_HEAD);
        }
        return bytes.toByteArray();
    }
}
