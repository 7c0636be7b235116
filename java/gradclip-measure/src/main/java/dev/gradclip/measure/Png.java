// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.Supplier;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler;

/** Writes charts as PNG files, without a screen. */
public final class Png {
    /** The advice if {@link #bytes} returns null. */
    public static final String REMEDY =
            "this JVM finds no fonts to write a chart with; install some (Debian: apt-get install fontconfig"
                    + " fonts-dejavu-core)";

    private Png() {}

    /** Returns the file's bytes; null if the JVM has no fonts, which it says by an error. */
    public static byte @Nullable [] bytes(Supplier<? extends Chart<?, ?>> chart) throws IOException {
        return besideEachOther(() -> List.of(chart.get()));
    }

    /** Returns the bytes of a file of charts in one row; null as {@link #bytes}. */
    public static byte @Nullable [] besideEachOther(Supplier<? extends List<? extends Chart<?, ?>>> charts)
            throws IOException {
        System.setProperty("java.awt.headless", "true");
        // Else the picture passes through a file in the folder of temporaries, which may be full.
        ImageIO.setUseCache(false);
        try {
            List<? extends Chart<?, ?>> row = charts.get();
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            BitmapEncoder.saveBitmap(row, 1, row.size(), bytes, BitmapEncoder.BitmapFormat.PNG);
            return bytes.toByteArray();
        } catch (LinkageError | InternalError e) {
            return null;
        }
    }

    /** Gives all charts one look. */
    public static void style(AxesChartStyler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setLegendPosition(Styler.LegendPosition.OutsideS);
        styler.setLegendLayout(Styler.LegendLayout.Horizontal);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setPlotBorderVisible(false);
        styler.setAxisTickPadding(8);
        styler.setAxisTickLabelsFont(styler.getBaseFont().deriveFont(12f));
    }
}
