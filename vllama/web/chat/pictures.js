// Pictures that are sent with a message.

const LONGEST = 20 * 1024 * 1024;

/** The base64 of a file. Raises an Error with a sentence for the reader. */
export async function readPicture(file) {
  if (!file.type.startsWith("image/")) throw new Error(`${file.name} is not a picture.`);
  if (file.size > LONGEST) throw new Error(`${file.name} is larger than 20 MiB. Make it smaller first.`);
  const text = await new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(new Error(`${file.name} can't be read.`));
    reader.readAsDataURL(file);
  });
  return text.slice(text.indexOf(",") + 1);
}
