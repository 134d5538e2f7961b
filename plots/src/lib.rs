//! Figures: one per file, each a function from data to a drawing. Nothing here measures anything.
//!
//! A figure is laid out once as a `scene` of rectangles, lines and texts in pixels, and that
//! scene is painted by every back end (PNG and SVG), so both show the same thing. The font, DejaVu
//! Sans, is inside the program: no font library and no installed font is needed.
#![forbid(unsafe_code)]

mod axis;
pub mod demo;
mod error;
mod palette;
mod scene;
mod text;

pub use error::Error;
