// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.awt.Color;
import java.awt.Graphics2D;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.internal.chartpart.IChart;
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
        return inColumns(charts, Integer.MAX_VALUE);
    }

    /**
     * Returns the bytes of a file of charts in rows of so many, which all have one size; null as {@link #bytes}. The
     * last row may be shorter.
     */
    public static byte @Nullable [] inColumns(Supplier<? extends List<? extends Chart<?, ?>>> charts, int columns)
            throws IOException {
        System.setProperty("java.awt.headless", "true");
        // Else the picture passes through a file in the folder of temporaries, which may be full.
        ImageIO.setUseCache(false);
        try {
            List<IChart> all = new ArrayList<>(charts.get());
            int width = Math.min(columns, all.size());
            while (all.size() % width != 0) all.add(new Blank(all.get(0)));
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            BitmapEncoder.saveBitmap(all, all.size() / width, width, bytes, BitmapEncoder.BitmapFormat.PNG);
            return bytes.toByteArray();
        } catch (LinkageError | InternalError e) {
            return null;
        }
    }

    /** Fills a place that has no chart. */
    private record Blank(IChart beside) implements IChart {
        @Override
        public void paint(Graphics2D g, int width, int height) {
            g.setColor(Color.WHITE);
            g.fillRect(0, 0, width, height);
        }

        @Override
        public int getWidth() {
            return beside.getWidth();
        }

        @Override
        public int getHeight() {
            return beside.getHeight();
        }

        @Override
        public String getTitle() {
            return "";
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
