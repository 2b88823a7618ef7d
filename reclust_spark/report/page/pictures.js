// Where the survey's rows are images: the average one of a cluster, and its most typical.

function pictureSection(cluster) {
  const { picture } = cluster;
  const figure = (packed, said, caption) => make("figure", null,
    canvasOf(picture, packed, said), make("figcaption", null, caption));
  const whose = cluster.path === ROOT ? "everyone" : `cluster ${cluster.name}`;
  return make("div", { class: "pictures" },
    figure(picture.mean, `Average image of ${whose}`, "Average"),
    picture.medoid && figure(picture.medoid, `Most typical image of ${whose}`, "Most typical"));
}

function smallPicture(cluster) {
  if (!cluster.picture) return null;
  const said = `Average image of cluster ${cluster.name}`;
  return canvasOf(cluster.picture, cluster.picture.mean, said, "small-picture");
}

// Grey values, 255 the largest, drawn dark on light as ink is.
function canvasOf({ rows, columns }, packed, said, name = "picture") {
  const canvas = make("canvas",
    { width: columns, height: rows, role: "img", "aria-label": said, class: name });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  bytes(packed).forEach((grey, i) => image.data.set([255 - grey, 255 - grey, 255 - grey, 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}
