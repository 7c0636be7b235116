// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Writes an event file of TensorBoard: TFRecord frames around protobuf messages of the type Event, with scalars in the
 * field simple_value, as PyTorch's SummaryWriter does.
 *
 * <p>The few fields are written here and not by protobuf-java, which would be in every training's JVM: on JDK 25 the
 * first use of its CodedOutputStream prints a warning about sun.misc.Unsafe, seen with 4.33.5, and TensorFlow-Java and
 * Spark bring versions of their own. The tests read what is written by protobuf-java.
 */
final class TensorBoardFormat implements RunFormat {
    /** What TensorBoard expects in the first event of a file. */
    private static final String VERSION = "brain.Event:2";

    /** Protobuf's wire types. */
    private static final int VARINT = 0;

    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;

    /** TFRecord adds this to a check sum, so that sums of data which holds sums are not alike. */
    private static final int MASK = 0xa282ead8;

    private final ByteArrayOutputStream out;

    /** What the tags of norms begin with, and the names that follow. */
    private String norms = "";

    private List<String> names = List.of();

    /** @param time of the file's first event, in seconds since 1970 */
    TensorBoardFormat(ByteArrayOutputStream out, double time) {
        this.out = out;
        frame(new Message().fixed64(1, time).bytes(3, VERSION.getBytes(StandardCharsets.UTF_8)));
    }

    @Override
    public void head(@Nullable String rule, String normType, String of, List<String> columns) {
        norms = of.equals("groups") ? "group_norm/" : "tensor_norm/";
        names = columns;
    }

    @Override
    public void step(RunStep step, Collection<Double> values) {
        Message summary = new Message();
        // A norm that is NaN is shown as that; one that the rule does not measure is left out.
        if (!Double.isNaN(step.norm()) || step.nonFinite()) scalar(summary, "grad_norm/global", step.norm());
        if (Double.isFinite(step.threshold())) scalar(summary, "grad_norm/threshold", step.threshold());
        if (!Double.isNaN(step.coefficient())) scalar(summary, "clip/coefficient", step.coefficient());
        scalar(summary, "clip/clipped", step.clipped() ? 1 : 0);
        scalar(summary, "clip/non_finite", step.nonFinite() ? 1 : 0);
        scalar(summary, "clip/skipped", step.skipped() ? 1 : 0);
        int i = 0;
        for (double value : values) scalar(summary, norms + names.get(i++), value);
        double time = Double.isNaN(step.time()) ? 0 : step.time();
        frame(new Message().fixed64(1, time).varint(2, step.step()).bytes(5, summary.toByteArray()));
    }

    /** Adds a Summary.Value: its tag and simple_value. */
    private static void scalar(Message summary, String tag, double value) {
        Message scalar =
                new Message().bytes(1, tag.getBytes(StandardCharsets.UTF_8)).fixed32(2, (float) value);
        summary.bytes(1, scalar.toByteArray());
    }

    /** Writes a frame: the length and its check sum, the message and its own. */
    private void frame(Message message) {
        byte[] data = message.toByteArray();
        byte[] length = little(Long.BYTES).putLong(data.length).array();
        out.writeBytes(length);
        out.writeBytes(little(Integer.BYTES).putInt(maskedSum(length)).array());
        out.writeBytes(data);
        out.writeBytes(little(Integer.BYTES).putInt(maskedSum(data)).array());
    }

    /** The masked CRC-32C of TFRecord. */
    static int maskedSum(byte[] data) {
        CRC32C crc = new CRC32C();
        crc.update(data);
        return Integer.rotateRight((int) crc.getValue(), 15) + MASK;
    }

    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The fields of a protobuf message. */
    private static final class Message extends ByteArrayOutputStream {
        Message varint(int field, long value) {
            key(field, VARINT);
            number(value);
            return this;
        }

        Message fixed64(int field, double value) {
            key(field, FIXED64);
            writeBytes(little(Double.BYTES).putDouble(value).array());
            return this;
        }

        Message fixed32(int field, float value) {
            key(field, FIXED32);
            writeBytes(little(Float.BYTES).putFloat(value).array());
            return this;
        }

        Message bytes(int field, byte[] value) {
            key(field, BYTES);
            number(value.length);
            writeBytes(value);
            return this;
        }

        private void key(int field, int type) {
            number(((long) field << 3) | type);
        }

        /** Seven bits a byte, the lowest first; the eighth says that more follow. */
        private void number(long value) {
            while ((value & ~0x7FL) != 0) {
                write((int) ((value & 0x7F) | 0x80));
                value >>>= 7;
            }
            write((int) value);
        }
    }
}
